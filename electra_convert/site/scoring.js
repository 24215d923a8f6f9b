// What a discriminator says of a text, and what a generator would put into it.
import { Refusal } from "./page.js";
import { ranked, sigmoid, softmax } from "./runner.js";

const MASK = "[MASK]";
const SUGGESTIONS = 8;
const REPLACED = 0.5;
const MOST_EXAMPLES = 4;

// A text's tokens and words with their probabilities, each in stretches that make up the whole text.
export async function score(runner, text) {
  const encoded = runner.encode(text);
  if (encoded.pieces.every((piece) => piece.special)) {
    throw new Refusal("The text has nothing to score: special tokens alone. Give it a word or two.");
  }
  const { logits, windows } = await runner.byPieces(encoded);
  const tokens = encoded.pieces
    .map((piece, index) => ({ ...piece, probability: sigmoid(logits[index][0]) }))
    .filter((piece) => !piece.special);
  return {
    windows,
    tokens: stretches(encoded.points, tokens.map((token) => mark(encoded.points, [token], false))),
    words: stretches(encoded.points, grouped(tokens).map((word) => mark(encoded.points, word, true))),
  };
}

export function grouped(pieces) {
  const groups = [];
  for (const piece of pieces) {
    if (groups.length && groups.at(-1)[0].word === piece.word) groups.at(-1).push(piece);
    else groups.push([piece]);
  }
  return groups;
}

export function reach(pieces) {
  return [Math.min(...pieces.map((piece) => piece.start)), Math.max(...pieces.map((piece) => piece.end))];
}

function mark(points, tokens, isWord) {
  const [start, end] = reach(tokens);
  const there = points.slice(start, end).join("");
  const piece = tokens[0].text === "[UNK]" ? `[UNK] ${there}` : tokens[0].text;
  const probability = Math.max(...tokens.map((token) => token.probability));
  return { name: isWord ? there : piece, start, end, probability };
}

// Several marks make one stretch where they come of one character.
function stretches(points, marks) {
  const made = [];
  const push = (start, end, those) => made.push({ text: points.slice(start, end).join(""), marks: those });
  let [done, begin, pending] = [0, 0, []];
  for (const one of marks) {
    if (pending.length && one.start >= done) {
      push(begin, done, pending);
      pending = [];
    }
    if (!pending.length) {
      if (one.start > done) push(done, one.start, []);
      begin = one.start;
    }
    pending.push(one);
    done = Math.max(done, one.end);
  }
  if (pending.length) push(begin, done, pending);
  if (done < points.length) push(done, points.length, []);
  return made;
}

// Sentences in which the word that does not belong is the likeliest to be replaced, the clearest first; else the others.
export async function clearest(runner, examples) {
  const rated = [];
  for (const example of examples) {
    const { words } = await score(runner, example.text);
    const marks = words.flatMap((stretch) => stretch.marks);
    const inside = marks.filter((word) => word.start < example.end && word.end > example.start);
    const intruder = Math.max(0, ...inside.map((word) => word.probability));
    const likeliest = Math.max(...marks.map((word) => word.probability));
    rated.push(intruder === likeliest ? intruder : intruder - 1);
  }
  const order = ranked(rated);
  const found = order.filter((index) => rated[index] > REPLACED);
  return (found.length ? found : order).slice(0, MOST_EXAMPLES).map((index) => examples[index].text);
}

// Which whole words the generator would put in place of some characters of a text.
export async function suggest(runner, { text, start, end }) {
  const points = Array.from(text);
  const encoded = runner.encode(`${points.slice(0, start).join("")}${MASK}${points.slice(end).join("")}`);
  const place = encoded.pieces.findIndex((piece) => piece.text === MASK && piece.special && piece.start === start);
  if (place < 0) throw new Refusal(`A ${MASK} in that place is not read as one.`);
  const window = runner.windows(encoded).find(({ first, last }) => first <= place && place < last);
  const { data, dims } = (await runner.run(runner.row(encoded.pieces.slice(window.start, window.stop)))).logits;
  const at = (place - window.start + 1) * dims[2];
  const probabilities = softmax(data.subarray(at, at + dims[2]));
  const words = [];
  for (const id of ranked(probabilities)) {
    const piece = runner.tokenizer.name(id);
    // `in` would find what every object has: "constructor" is a word of many vocabularies.
    const isSpecial = Object.hasOwn(runner.settings.special, piece);
    if (piece === undefined || isSpecial || piece.startsWith(runner.tokenizer.prefix)) continue;
    words.push({ piece, probability: probabilities[id] });
    if (words.length === SUGGESTIONS) break;
  }
  return { words };
}
