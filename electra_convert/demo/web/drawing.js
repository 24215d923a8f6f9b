// Answers of fine-tuned models, drawn: what each kind of them looks like, as on a saved page.
import { bdi, make, sentence } from "./page.js";

const SVG = "http://www.w3.org/2000/svg";
const NO_ANSWER = "(no answer in the passage)";

// What is shown of an answer, and what a screen reader is told of it.
export function drawn(answer) {
  const { parts, told } = KINDS[answer.kind](answer);
  return { elements: parts, told };
}

const KINDS = {
  sequence_classification: drawClasses,
  regression: drawNumber,
  token_classification: drawTags,
  question_answering: drawReading,
};

function drawClasses({ classes, several, note }) {
  const labels = several ? classes.filter((one) => one.probability > 0.5) : [classes[0]];
  const verdict = labels.length
    ? labels.flatMap((one, index) => [...(index ? [", "] : []), make("strong", {}, bdi(one.label))])
    : ["No class is likelier than not."];
  const rows = classes.map((one) => row(one.probability, one.label, labels.includes(one)));
  const told = labels.map((one) => `${one.label}, ${one.probability.toFixed(3)}`).join("; ");
  return { parts: [card(paragraph("verdict", ...verdict), bars("Class", rows), note)], told: told || verdict[0] };
}

function drawNumber({ value, note }) {
  const shown = value.toFixed(3);
  return { parts: [card(paragraph("verdict", make("strong", {}, shown)), note)], told: shown };
}

function drawTags({ text, words, note }) {
  const named = words.filter((word) => word.kind !== null);
  const kinds = new Map(named.map((word) => [word.kind, word.colour]));
  const legend = make("div", { className: "legend" }, make("span", {}, "Named here"), make("ul", {}, ...legendItems(kinds)));
  const shown = paragraph("text tagged", ...stretches(text, named));
  shown.dir = "auto";
  const nothing = named.length ? null : paragraph("soft", "No word of this text is named.");
  const summary = make("summary", {}, `All ${words.length} words`);
  const table = rowsOf(["Probability", "Bar", "Tag", "Word"], words.map((word) =>
    tableRow(word.probability.toFixed(3), bar(word.probability), word.tag, bdi(word.text))));
  const told = named.map((word) => `${word.text}: ${word.tag}`).join("; ") || "No word of this text is named.";
  return { parts: [...(named.length ? [legend] : []), card(shown, nothing, note, make("details", {}, summary, table))], told };
}

function legendItems(kinds) {
  const sorted = [...kinds].sort(([one], [other]) => (one < other ? -1 : 1));
  return sorted.map(([kind, colour]) => make("li", { className: `kind-${colour}` }, kind));
}

function stretches(text, named) {
  const points = Array.from(text);
  const made = [];
  let done = 0;
  for (const word of named) {
    made.push(points.slice(done, word.start).join(""));
    const unseen = (sign) => make("span", { className: "unseen" }, sign);
    const tag = make("small", { dir: "ltr" }, word.tag);
    made.push(make("mark", { className: `kind-${word.colour}` }, word.text, unseen(" ("), tag, unseen(") ")));
    done = word.end;
  }
  return [...made, points.slice(done).join("")];
}

function drawReading({ passage, answers, no_answer: none, answered, note }) {
  const points = Array.from(passage);
  const found = answered ? answers[0] : null;
  const verdict = paragraph("verdict", found ? make("strong", {}, found.text) : "No answer in the passage.");
  const shown = paragraph("text passage", points.slice(0, found ? found.start : points.length).join(""));
  if (found) shown.append(make("mark", { className: "found" }, found.text), points.slice(found.end).join(""));
  for (const part of [verdict, shown]) part.dir = "auto";
  const rows = answers.map((one, index) => row(one.probability, one.text, answered && index === 0));
  rows.splice(answered ? rows.length : 0, 0, row(none, NO_ANSWER, !answered));
  const told = found ? `${found.text}, ${found.probability.toFixed(3)}` : "No answer in the passage.";
  return { parts: [card(verdict, shown, bars("Answer", rows), note)], told };
}

function card(...parts) {
  const made = parts.filter(Boolean).map((part) => (typeof part === "string" ? paragraph("soft", sentence(part)) : part));
  return make("section", { className: "card" }, ...made);
}

function paragraph(className, ...children) {
  return make("p", { className }, ...children);
}

function bars(name, rows) {
  return rowsOf(["Probability", "Bar", name], rows);
}

function row(probability, name, strong) {
  return tableRow(probability.toFixed(3), bar(probability), strong ? make("strong", {}, bdi(name)) : bdi(name));
}

function tableRow(...cells) {
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
}

function rowsOf(names, rows) {
  const heads = names.map((name) =>
    make("th", { scope: "col" }, name === "Bar" ? make("span", { className: "unseen" }, name) : name));
  const table = make("table", { className: "bars" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
  return make("div", { className: "scroll" }, table);
}

function bar(probability) {
  const [drawing, filled] = ["svg", "rect"].map((name) => document.createElementNS(SVG, name));
  const attributes = { class: "bar", "aria-hidden": "true", width: "128", height: "10" };
  Object.entries(attributes).forEach(([name, value]) => drawing.setAttribute(name, value));
  filled.setAttribute("width", `${(100 * probability).toFixed(1)}%`);
  filled.setAttribute("height", "100%");
  drawing.append(filled);
  return drawing;
}
