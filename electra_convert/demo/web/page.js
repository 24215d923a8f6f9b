// What the interactive pages are made with: their elements, and what may go wrong with a question to their engine.

export const $ = (id) => document.getElementById(id);

const LEVELS = 5;

// What another try would not change.
export class Refusal extends Error {}

// What answered is not there any more; what answers next may be another one.
export class Gone extends Error {}

export function showError(message) {
  // Set only when it changes: a screen reader would read it out anew.
  if ($("error").textContent !== message) $("error").textContent = message;
  $("error").hidden = !message;
}

export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// The step of the colour scale.
export function level(probability) {
  return Math.min(Math.floor(probability * LEVELS), LEVELS - 1);
}

export function bar(probability) {
  const filled = make("span", {});
  filled.style.width = `${100 * probability}%`;
  return make("span", { className: "bar", ariaHidden: "true" }, filled);
}

// A text of the page, in whatever direction it runs.
export function bdi(text) {
  return make("bdi", {}, text);
}
