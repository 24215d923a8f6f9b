// The interactive page: sends the text when typing pauses, shows what comes back, and replaces words.
"use strict";

const PAUSE = 150; // milliseconds without a key before the text is sent
const RETRY = 1500; // milliseconds before a server that does not answer is asked again
const LEVELS = 5;

const $ = (id) => document.getElementById(id);
const input = $("input");
const state = {
  scored: null, // the last answer, and the text it is of
  busy: false, // one request at a time: what was typed meanwhile is sent when it is back
  retry: 0,
  timer: 0,
  marks: [], // what is shown of it
  stretches: [], // its elements, each with its probability
  before: [], // texts that replacements were made in, for Undo
  place: null, // the word whose panel is open
  panel: 0, // counts openings: suggestions for a panel that was closed are dropped
};

async function ask(name, fields) {
  const response = await fetch(`/api/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  });
  const answer = await response.json();
  if (!response.ok) throw new Refusal([answer.error, answer.hint].filter(Boolean).join(" "));
  return answer;
}

class Refusal extends Error {}

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function showError(message) {
  // Set only when it changes: a screen reader would read it out anew.
  if ($("error").textContent !== message) $("error").textContent = message;
  $("error").hidden = !message;
}

function threshold() {
  return Number($("threshold").value);
}

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
    const answer = await ask("score", { text });
    state.scored = { text, ...answer };
    showError("");
  } catch (error) {
    if (error instanceof Refusal) {
      refuse(text, error.message);
    } else {
      showError("The server does not answer. Is electra-convert still running? Trying again …");
      state.retry = setTimeout(send, RETRY);
      return;
    }
  } finally {
    state.busy = false;
  }
  if (input.value === text) render();
  else send();
}

function refuse(text, message) {
  state.scored = null;
  if (input.value === text) showError(message);
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
}

// A long text has thousands of rows: they are made when somebody looks.
function showNumbers() {
  const rows = $("numbers");
  if (state.scored && $("all-numbers").open && !rows.firstChild) rows.append(...state.marks.map(rowElement));
}

// All that a threshold decides: what is drawn stays.
function showCalled() {
  if (!state.scored) return;
  for (const { element, probability } of state.stretches) {
    const called = probability > threshold();
    element.classList.toggle("called", called);
    element.querySelector(".unseen").textContent = called ? " (replaced)" : "";
  }
  Array.from($("numbers").children).forEach((row, index) => {
    row.children[2].replaceChildren(says(state.marks[index]));
  });
  const called = state.marks.filter((mark) => mark.probability > threshold()).length;
  const parts = [`${called} of ${state.marks.length} ${unit()} called replaced.`];
  const { windows } = state.scored;
  if (windows > 1) parts.push(`Longer than the model's input: scored in ${windows} overlapping windows.`);
  if ($("status").textContent !== parts.join(" ")) $("status").textContent = parts.join(" ");
}

function stretchElement(stretch) {
  if (!stretch.marks.length) return document.createTextNode(stretch.text);
  const mark = stretch.marks.reduce((one, other) => (other.probability > one.probability ? other : one));
  const level = Math.min(Math.floor(mark.probability * LEVELS), LEVELS - 1);
  const element = make("span", { className: `token level-${level}`, tabIndex: 0 }, stretch.text);
  element.setAttribute("role", "button");
  element.append(make("span", { className: "unseen" }));
  element.append(make("span", { className: "tip", dir: "ltr" }, mark.probability.toFixed(3)));
  state.stretches.push({ element, probability: mark.probability });
  element.addEventListener("click", () => openPanel(mark, element));
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    openPanel(mark, element);
  });
  return element;
}

function rowElement(mark) {
  const filled = make("span", {});
  filled.style.width = `${100 * mark.probability}%`;
  const bar = make("span", { className: "bar", ariaHidden: "true" }, filled);
  const cells = [mark.probability.toFixed(3), bar, says(mark), make("bdi", {}, mark.name)];
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
}

function says(mark) {
  return mark.probability > threshold() ? make("strong", {}, "replaced") : "original";
}

// Replacing

function openPanel(mark, element) {
  if (!state.scored || input.value !== state.scored.text) return;
  const words = state.scored.words.flatMap((stretch) => stretch.marks);
  const word = words.find((one) => one.start <= mark.start && mark.start < one.end) || mark;
  const points = Array.from(state.scored.text);
  state.place = { ...word, element };
  const opening = ++state.panel;
  $("panel-title").replaceChildren("Replace “", make("bdi", {}, points.slice(word.start, word.end).join("")), "”");
  $("suggestions").replaceChildren();
  $("own-word").value = "";
  $("no-suggestions").hidden = false;
  $("no-suggestions").textContent = "The generator is asked …";
  $("panel").hidden = false;
  $("panel-title").focus();
  $("panel").scrollIntoView({ block: "nearest" });
  fetchSuggestions(opening, word);
}

async function fetchSuggestions(opening, word) {
  let told = "";
  let words = [];
  try {
    words = (await ask("suggest", { text: state.scored.text, start: word.start, end: word.end })).words;
  } catch (error) {
    told = error instanceof Refusal ? error.message : "The server does not answer.";
  }
  if (opening !== state.panel) return;
  $("no-suggestions").textContent = told;
  $("no-suggestions").hidden = !told;
  $("suggestions").replaceChildren(...words.map(suggestionElement));
}

function suggestionElement(candidate) {
  const share = make("small", {}, `${(100 * candidate.probability).toFixed(1)}%`);
  const button = make("button", { type: "button" }, make("bdi", {}, candidate.piece), share);
  button.addEventListener("click", () => replaceWord(candidate.piece));
  return button;
}

function replaceWord(replacement) {
  const points = Array.from(input.value);
  state.before.push(input.value);
  $("undo").disabled = false;
  const { start, end } = state.place;
  input.value = points.slice(0, start).join("") + replacement + points.slice(end).join("");
  closePanel(false);
  input.focus();
  changed();
}

function closePanel(back) {
  state.panel += 1;
  if ($("panel").hidden) return;
  $("panel").hidden = true;
  if (back && state.place && state.place.element.isConnected) state.place.element.focus();
  state.place = null;
}

function undo() {
  input.value = state.before.pop();
  $("undo").disabled = !state.before.length;
  changed();
}

// Beginning

function showThreshold() {
  $("threshold-value").textContent = threshold().toFixed(2);
  showCalled();
}

async function begin() {
  try {
    const settings = await ask("settings", {});
    $("model").textContent = settings.model;
    document.title = `Replaced tokens: ${settings.model}`;
    $("threshold").value = settings.threshold;
    document.querySelector(`input[name=unit][value=${settings.words ? "words" : "tokens"}]`).checked = true;
    if (!input.value) input.value = settings.text;
    showThreshold();
    await send();
  } catch {
    showError("The server does not answer. Trying again …");
    setTimeout(begin, RETRY);
  }
}

input.addEventListener("input", changed);
$("all-numbers").addEventListener("toggle", showNumbers);
$("threshold").addEventListener("input", showThreshold);
document.querySelectorAll("input[name=unit]").forEach((radio) => radio.addEventListener("change", render));
$("undo").addEventListener("click", undo);
$("close").addEventListener("click", () => closePanel(true));
$("own").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("own-word").value) replaceWord($("own-word").value);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closePanel(true);
});
begin();
