// The interactive page: has the text scored when typing pauses, shows what comes back, and replaces words.
import { ask } from "./engine.js";
import { $, bar, bdi, Gone, level, make, Refusal, sentence, showError } from "./page.js";

const PAUSE = 150; // milliseconds without a key before the text is sent
const RETRY = 1500; // milliseconds before what does not answer is asked again
const NO_GENERATOR = "There is no generator beside this model to suggest words: write your own.";

const input = $("input");
const state = {
  scored: null, // the last answer, and the text it is of
  busy: false, // one request at a time: what was typed meanwhile is sent when it is back
  retry: 0,
  timer: 0,
  marks: [], // what is shown of it
  stretches: [], // its elements, each with the mark that colours it
  threshold: 0.5,
  generator: true, // whether there is one to suggest words
  lost: true, // whether it must be told anew which model answers
  before: [], // texts that replacements were made in, for Undo
  place: null, // the word whose panel is open
  replaced: null, // where a word was just put in: it gets the focus when it is scored
  panel: 0, // counts openings: suggestions for a panel that was closed are dropped
};

function unit() {
  return document.querySelector("input[name=unit]:checked").value;
}

// Scoring

function changed() {
  closePanel(false);
  $("scored").classList.add("stale");
  clearTimeout(state.timer);
  state.timer = setTimeout(send, PAUSE);
}

async function send() {
  if (state.busy) return;
  clearTimeout(state.retry);
  const text = input.value;
  if (!text.trim()) return clear();
  state.busy = true;
  try {
    // A server that was started anew may serve another model.
    if (state.lost) await introduce();
    const answer = await ask("score", { text });
    state.scored = { text, ...answer };
    showError("");
  } catch (error) {
    if (error instanceof Refusal) {
      refuse(text, error.message);
    } else {
      showFault(error);
      state.retry = setTimeout(send, RETRY);
      return;
    }
  } finally {
    state.busy = false;
  }
  if (input.value === text) render();
  else send();
}

function showFault(error) {
  state.lost = error instanceof Gone || state.lost;
  showError(`${error.message} Trying again …`);
}

function refuse(text, message) {
  state.scored = null;
  if (input.value === text) showError(sentence(message));
}

function clear() {
  state.scored = null;
  showError("");
  render();
}

// Showing

function render() {
  const scored = state.scored;
  $("scored").classList.remove("stale");
  if (!scored) {
    $("scored").replaceChildren();
    $("numbers").replaceChildren();
    $("status").textContent = input.value.trim() ? "" : "Type a sentence.";
    return;
  }
  const stretches = scored[unit()];
  state.marks = stretches.flatMap((stretch) => stretch.marks);
  state.stretches = [];
  $("scored").replaceChildren(...stretches.map(stretchElement));
  $("numbers").replaceChildren();
  showNumbers();
  showCalled();
  showChosen();
  showReplaced();
}

function showChosen() {
  const { start, end } = state.place || { start: 0, end: 0 };
  for (const { element, mark } of state.stretches) {
    element.classList.toggle("chosen", start <= mark.start && mark.start < end);
  }
}

// The focus shows the number of the word that was just put in.
function showReplaced() {
  if (state.replaced === null || document.activeElement !== $("result")) return;
  const found = state.stretches.find(({ mark }) => mark.start <= state.replaced && state.replaced < mark.end);
  if (found) found.element.focus();
}

// A long text has thousands of rows: they are made when somebody looks.
function showNumbers() {
  const rows = $("numbers");
  if (state.scored && $("all-numbers").open && !rows.firstChild) rows.append(...state.marks.map(rowElement));
}

// All that a threshold decides: what is drawn stays.
function showCalled() {
  if (!state.scored) return;
  for (const { element, mark } of state.stretches) {
    const called = mark.probability > state.threshold;
    element.classList.toggle("called", called);
    element.querySelector(".unseen").textContent = called ? " (replaced)" : "";
  }
  Array.from($("numbers").children).forEach((row, index) => {
    row.children[2].replaceChildren(says(state.marks[index]));
  });
  const called = state.marks.filter((mark) => mark.probability > state.threshold).length;
  const parts = [`${called} of ${state.marks.length} ${unit()} called replaced.`];
  if (!called) parts.push(mostSuspicious());
  const { windows } = state.scored;
  if (windows > 1) parts.push(`Longer than the model's input: scored in ${windows} overlapping windows.`);
  if ($("status").textContent !== parts.join(" ")) $("status").textContent = parts.join(" ");
}

// Below the threshold there is still a word that stands out.
function mostSuspicious() {
  const words = state.scored.words.filter((stretch) => stretch.marks.length);
  const likeliest = (stretch) => Math.max(...stretch.marks.map((mark) => mark.probability));
  const found = words.reduce((one, other) => (likeliest(other) > likeliest(one) ? other : one));
  return `The most suspicious word is “\u2068${found.text}\u2069”, at ${likeliest(found).toFixed(3)}.`;
}

function stretchElement(stretch) {
  if (!stretch.marks.length) return document.createTextNode(stretch.text);
  const mark = stretch.marks.reduce((one, other) => (other.probability > one.probability ? other : one));
  const element = make("span", { className: `token level-${level(mark.probability)}`, tabIndex: 0 }, stretch.text);
  element.setAttribute("role", "button");
  element.append(make("span", { className: "unseen" }));
  element.append(make("span", { className: "tip", dir: "ltr" }, mark.probability.toFixed(3)));
  state.stretches.push({ element, mark });
  element.addEventListener("click", () => openPanel(mark, element));
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    openPanel(mark, element);
  });
  return element;
}

function rowElement(mark) {
  const cells = [mark.probability.toFixed(3), bar(mark.probability), says(mark), bdi(mark.name)];
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
}

function says(mark) {
  return mark.probability > state.threshold ? make("strong", {}, "replaced") : "original";
}

// Replacing

function openPanel(mark, element) {
  if (!state.scored || input.value !== state.scored.text) return;
  const words = state.scored.words.flatMap((stretch) => stretch.marks);
  const word = words.find((one) => one.start <= mark.start && mark.start < one.end) || mark;
  const points = Array.from(state.scored.text);
  closePanel(false);
  state.place = { ...word, element };
  showChosen();
  const opening = state.panel;
  $("panel-title").replaceChildren("Replace “", bdi(points.slice(word.start, word.end).join("")), "”");
  $("suggestions").replaceChildren();
  $("own-word").value = "";
  $("about-suggestions").textContent = state.generator ? "Asking the generator …" : NO_GENERATOR;
  $("panel").hidden = false;
  $("panel-title").focus();
  $("panel").scrollIntoView({ block: "nearest" });
  if (state.generator) fetchSuggestions(opening, word);
}

async function fetchSuggestions(opening, word) {
  let told = "The generator would put here:";
  let words = [];
  try {
    words = (await ask("suggest", { text: state.scored.text, start: word.start, end: word.end })).words;
  } catch (error) {
    told = sentence(error.message);
  }
  if (opening !== state.panel) return;
  $("about-suggestions").textContent = told;
  $("suggestions").replaceChildren(...words.map(suggestionElement));
  $("panel").scrollIntoView({ block: "nearest" });
}

function suggestionElement(candidate) {
  const share = make("small", {}, `${(100 * candidate.probability).toFixed(1)}%`);
  const button = make("button", { type: "button" }, bdi(candidate.piece), share);
  button.addEventListener("click", () => replaceWord(candidate.piece));
  return button;
}

function replaceWord(replacement) {
  const points = Array.from(input.value);
  state.before.push(input.value);
  $("undo").disabled = false;
  const { start, end } = state.place;
  input.value = points.slice(0, start).join("") + replacement + points.slice(end).join("");
  changed();
  state.replaced = start;
  // Not the text field: on a phone its keyboard would cover what is to be seen.
  $("result").focus();
}

function closePanel(back) {
  state.panel += 1;
  if ($("panel").hidden) return;
  $("panel").hidden = true;
  if (back && state.place && state.place.element.isConnected) state.place.element.focus();
  state.place = null;
  showChosen();
}

function undo() {
  input.value = state.before.pop();
  $("undo").disabled = !state.before.length;
  changed();
  state.replaced = null;
  $("result").focus();
}

function typed() {
  // What was typed since would be undone with the replacement.
  state.before = [];
  $("undo").disabled = true;
  changed();
}

// Beginning

function exampleElement(text) {
  const button = make("button", { type: "button", className: "example", dir: "auto" }, text);
  button.addEventListener("click", () => {
    input.value = text;
    typed();
  });
  return button;
}

function setThreshold(value) {
  state.threshold = value;
  // One that was given with --threshold may have more places than the slider.
  $("threshold-value").textContent = Number(value.toFixed(2)) === value ? value.toFixed(2) : value;
  showCalled();
}

async function introduce() {
  const settings = await ask("settings", {});
  $("model").textContent = settings.model;
  document.title = `Which words were replaced? ${settings.model}`;
  state.generator = settings.generator;
  $("examples").replaceChildren($("examples").firstElementChild, ...settings.examples.map(exampleElement));
  $("examples").hidden = !settings.examples.length;
  state.lost = false;
  return settings;
}

async function begin() {
  try {
    const settings = await introduce();
    $("threshold").value = settings.threshold;
    setThreshold(settings.threshold);
    document.querySelector(`input[name=unit][value=${settings.words ? "words" : "tokens"}]`).checked = true;
    if (!input.value) input.value = settings.text;
    await send();
  } catch (error) {
    if (error instanceof Refusal) return showError(error.message);
    showFault(error);
    setTimeout(begin, RETRY);
  }
}

input.addEventListener("input", typed);
$("all-numbers").addEventListener("toggle", showNumbers);
$("threshold").addEventListener("input", () => setThreshold(Number($("threshold").value)));
document.querySelectorAll("input[name=unit]").forEach((radio) => radio.addEventListener("change", render));
$("undo").addEventListener("click", undo);
$("close").addEventListener("click", () => closePanel(true));
$("own").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("own-word").value) replaceWord($("own-word").value);
});
document.addEventListener("keydown", (event) => {
  // An input method's own Escape takes back what is being composed, and no more.
  if (event.key === "Escape" && !event.isComposing) closePanel(true);
});
begin();
