// What the interactive page is made with: its elements, and questions to the server. Addresses are relative: a
// notebook's proxy serves the page below a path of its own.

export const $ = (id) => document.getElementById(id);

const BUSY = 503;
const LEVELS = 5;

// What another try would not change.
export class Refusal extends Error {}

export async function ask(name, fields) {
  const response = await fetch(`api/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  });
  if (response.status === BUSY) throw new Error("The server has too much to do.");
  const answer = await response.json();
  if (!response.ok) throw new Refusal([answer.error, answer.hint].filter(Boolean).join(" "));
  return answer;
}

// fetch throws a TypeError where no server answers; what is no JSON comes from another program's.
export function isGone(error) {
  return error instanceof TypeError || error instanceof SyntaxError;
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
