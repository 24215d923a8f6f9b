// The models, apart from the page, which stays at hand while they compute: it asks by messages, one at a time.
import { Characters } from "./characters.js";
import { fetched, Files, parsed } from "./files.js";
import { isPrepared, Network, prepare } from "./network.js";
import { Refusal } from "./page.js";
import { Runner } from "./runner.js";
import { clearest, score, suggest } from "./scoring.js";
import { TASKS } from "./tasks.js";
import { WordPiece } from "./wordpiece.js";

const LONGEST_TYPED = 5000; // characters
const SETTINGS = "settings.json";
const RUNTIME = "runtime/ort-wasm-simd-threaded.wasm";
const answers = { open: opening, settings, score: scored, suggest: suggested, answer: answered };
const opened = {};
let site;

function tell(progress) {
  self.postMessage({ progress });
}

// The site's settings are the first thing read, and state the size of every other file.
async function settingsOfSite() {
  if (!site) {
    const response = await fetched(SETTINGS);
    site = parsed(SETTINGS, await response.text());
  }
  return site;
}

// A model is opened when it is first asked, once for all who ask meanwhile; what another try may mend is tried anew.
function runner(role) {
  if (!opened[role]) {
    opened[role] = open(role);
    opened[role].catch((error) => error instanceof Refusal || delete opened[role]);
  }
  return opened[role];
}

async function open(role) {
  const { sizes, models } = await settingsOfSite();
  const { model, tokenizer, characters } = models[role];
  const names = [tokenizer, characters, model, ...(isPrepared() ? [] : [RUNTIME])];
  const [definition, table, graph, binary] = await new Files(sizes, tell).all(names);
  if (binary) prepare(binary);
  const special = Object.keys(models[role].special);
  const cut = new WordPiece(decoded(tokenizer, definition), new Characters(decoded(characters, table)), special);
  return new Runner(models[role], cut, await Network.open(graph));
}

function decoded(name, bytes) {
  return parsed(name, new TextDecoder().decode(bytes));
}

async function opening() {
  await runner("discriminator");
}

async function settings() {
  const { title, threshold, examples, models } = await settingsOfSite();
  const clear = await clearest(await runner("discriminator"), examples);
  return {
    model: title,
    threshold,
    words: false,
    text: clear[0] || "",
    examples: clear,
    generator: "generator" in models,
  };
}

function typed(text) {
  const length = Array.from(text).length;
  if (length <= LONGEST_TYPED) return text;
  const [has, most] = [length, LONGEST_TYPED].map((count) => count.toLocaleString("en"));
  throw new Refusal(`The text has ${has} characters, expected at most ${most}.`);
}

async function scored({ text }) {
  return score(await runner("discriminator"), typed(text));
}

async function suggested(place) {
  return suggest(await runner("generator"), place);
}

async function answered({ text, other }) {
  const { kind } = await settingsOfSite();
  const asked = { text: typed(text), other: typed(other).trim() ? other : null };
  return TASKS[kind](await runner("discriminator"), asked);
}

self.onmessage = async ({ data: { number, name, fields } }) => {
  try {
    self.postMessage({ number, answer: await answers[name](fields) });
  } catch (error) {
    self.postMessage({ number, error: error.message, refused: error instanceof Refusal });
  }
};
