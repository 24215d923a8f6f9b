// What fine-tuned models are asked and answer: classes, a number, tags of words, answers in a passage.
import { Refusal } from "./page.js";
import { reach, grouped } from "./scoring.js";
import { ranked, sigmoid, softmax, windowsNote } from "./runner.js";

const COLOURS = 8;
const LONGEST_ANSWER = 30; // tokens, as in Google's code
const ANSWERS = 5;

export const TASKS = {
  sequence_classification: classify,
  regression: estimate,
  token_classification: tag,
  question_answering: read,
};

// Classes, or a number

async function runTexts(runner, { text, other }) {
  const first = [...runner.encode(text).pieces];
  const second = other === null ? null : [...named("the second text", () => runner.encode(other)).pieces];
  const room = runner.settings.positions - (second ? 3 : 2);
  const before = first.length + (second ? second.length : 0);
  // Tokens go off the end of the longer text until both fit.
  while (first.length + (second ? second.length : 0) > room) {
    (!second || first.length > second.length ? first : second).pop();
  }
  const unread = before - first.length - (second ? second.length : 0);
  const { data } = (await runner.run(runner.row(first, second))).logits;
  const note = unread
    ? `longer than the model's input: its last ${unread.toLocaleString("en")} tokens were not read.`
    : null;
  return { logits: data, note };
}

async function classify(runner, asked) {
  const several = runner.settings.problem_type === "multi_label_classification";
  const { logits, note } = await runTexts(runner, asked);
  const probabilities = several ? Array.from(logits, sigmoid) : softmax(logits);
  const classes = ranked(probabilities).map((index) => ({
    label: runner.settings.labels[index],
    probability: probabilities[index],
  }));
  return { kind: "sequence_classification", text: asked.text, pair: asked.other, classes, several, note };
}

async function estimate(runner, asked) {
  const { logits, note } = await runTexts(runner, asked);
  return { kind: "regression", text: asked.text, pair: asked.other, value: logits[0], note };
}

function named(origin, encode) {
  try {
    return encode();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Refusal(`${origin}: ${error.message.charAt(0).toLowerCase()}${error.message.slice(1)}`);
  }
}

// Tags

async function tag(runner, { text }) {
  const encoded = runner.encode(text);
  const words = wordsOf(runner.tokenizer.characters, encoded);
  if (!words.length) throw new Refusal("The text has nothing to tag: special tokens alone. Give it a word or two.");
  const { logits, windows } = await runner.byPieces(encoded);
  const kinds = [...new Set(runner.settings.labels.map(kindOf).filter((kind) => kind !== null))];
  const tagged = words.map(({ piece, start, end }) => {
    const probabilities = softmax(logits[piece]);
    const best = ranked(probabilities)[0];
    const label = runner.settings.labels[best];
    const kind = kindOf(label);
    return {
      text: encoded.points.slice(start, end).join(""),
      start,
      end,
      tag: label,
      probability: probabilities[best],
      kind,
      colour: kind === null ? null : kinds.indexOf(kind) % COLOURS,
    };
  });
  return { kind: "token_classification", text, words: tagged, windows, note: windowsNote(windows, "tagged") };
}

// What a tag names, wherever in it a word stands.
function kindOf(label) {
  return label === "O" ? null : label.replace(/^[BIESLU][-_](?=.)/, "");
}

// Words as their writer parts them: with the signs within them, without those around them.
function wordsOf(characters, { points, pieces }) {
  const numbered = pieces.map((piece, index) => ({ ...piece, index })).filter((piece) => !piece.special);
  const parts = grouped(numbered).map((group) => {
    const [start, end] = reach(group);
    return { piece: group[0].index, start, end };
  });
  return runsOf(characters, points, parts).flatMap((run) => joined(characters, points, run));
}

function runsOf(characters, points, parts) {
  const runs = [];
  parts.forEach((part, index) => {
    const between = index ? points.slice(parts[index - 1].end, part.start) : [" "];
    if (between.some((point) => point === "[" || characters.is("blank", point))) runs.push([]);
    runs.at(-1).push(part);
  });
  return runs;
}

function joined(characters, points, run) {
  const isSign = run.map(({ start, end }) => !points.slice(start, end).some((point) => characters.is("alphanumeric", point)));
  const [first, last] = [isSign.indexOf(false), isSign.lastIndexOf(false)];
  const words = [];
  run.forEach((part, index) => {
    const within = first >= 0 && first < index && index <= last;
    if (words.length && within && (isSign[index] || isSign[index - 1])) words.at(-1).end = part.end;
    else words.push({ ...part });
  });
  return words;
}

// Answers

async function read(runner, { text, other }) {
  if (other === null) throw new Refusal("There is no question. Ask one; the text is the passage.");
  const question = named("the question", () => runner.encode(other)).pieces;
  const passage = named("the passage", () => runner.encode(text));
  const room = Math.floor((runner.settings.positions - 3) / 2);
  if (question.length > room) {
    throw new Refusal(
      `The question has ${question.length} tokens, expected at most ${room}: the model's input has room for ` +
        `${runner.settings.positions}. Ask it in fewer words.`,
    );
  }
  const windows = runner.windows(passage, question.length + 1);
  const found = [];
  let none = Infinity;
  for (const window of windows) {
    const row = runner.row(question, passage.pieces.slice(window.start, window.stop));
    const begin = question.length + 2 - window.start; // [CLS] and the [SEP] behind the question
    const ends = await inPassage(runner, row, begin + window.start, begin + window.stop);
    found.push(...candidates(ends, window, begin));
    none = Math.min(none, Math.exp(ends.start.logs[0] + ends.stop.logs[0]));
  }
  const answers = best(passage, found);
  return {
    kind: "question_answering",
    question: other,
    passage: text,
    answers,
    no_answer: none,
    answered: answers[0].probability >= none,
    windows: windows.length,
    note: windowsNote(windows.length, "read"),
  };
}

// An answer lies in the passage; [CLS] stands for none.
async function inPassage(runner, row, first, last) {
  const outputs = await runner.run(row);
  const [start, stop] = ["start_logits", "end_logits"].map((name) => {
    const logits = Array.from(outputs[name].data, (logit, at) => (at === 0 || (first <= at && at < last) ? logit : logit - 1000));
    const most = Math.max(...logits);
    const sum = Math.log(logits.reduce((so_far, logit) => so_far + Math.exp(logit - most), 0));
    return { logits, logs: logits.map((logit) => logit - most - sum) };
  });
  return { start, stop };
}

// More than are shown, since several may be one answer.
function candidates({ start, stop }, window, begin) {
  const all = [];
  for (let from = window.first; from < window.last; from += 1) {
    for (let to = from; to < Math.min(from + LONGEST_ANSWER, window.stop); to += 1) {
      const score = start.logits[begin + from] + stop.logits[begin + to];
      all.push({ from, to, score, probability: Math.exp(start.logs[begin + from] + stop.logs[begin + to]) });
    }
  }
  return ranked(all.map((one) => one.score)).slice(0, 4 * ANSWERS).map((index) => all[index]);
}

// The best first, in whole words; of spans that are the same words the best.
function best({ points, pieces }, found) {
  const answers = new Map();
  for (const index of ranked(found.map((one) => one.score))) {
    const { from, to, probability } = found[index];
    const touched = pieces.filter(({ word }) => pieces[from].word <= word && word <= pieces[to].word);
    const [start, end] = reach(touched);
    const key = `${start} ${end}`;
    if (!answers.has(key)) answers.set(key, { text: points.slice(start, end).join(""), start, end, probability });
  }
  return [...answers.values()].slice(0, ANSWERS);
}
