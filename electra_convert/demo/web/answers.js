// The interactive page of a fine-tuned model: sends what is typed when typing pauses, and shows what comes back.
import { $, ask, isGone, Refusal, sentence } from "./page.js";

const PAUSE = 300; // milliseconds without a key before the texts are sent
const RETRY = 1500; // milliseconds before a server that does not answer is asked again
const GONE = "The server does not answer. Is electra-convert still running?";

const fields = Array.from($("form").querySelectorAll("textarea"));
const state = { busy: false, timer: 0, retry: 0 };

function given() {
  return { other: "", ...Object.fromEntries(fields.map((field) => [field.id, field.value])) };
}

function showError(message) {
  // Set only when it changes: a screen reader would read it out anew.
  if ($("error").textContent !== message) $("error").textContent = message;
  $("error").hidden = !message;
}

function show(html, brief) {
  // Made by the server, which escapes all that was typed; no script in it would run (Content-Security-Policy).
  const open = $("answers").querySelector("details")?.open;
  $("answers").innerHTML = html;
  if (open && $("answers").querySelector("details")) $("answers").querySelector("details").open = true;
  $("answers").classList.remove("stale");
  $("status").textContent = brief;
}

function changed() {
  $("answers").classList.add("stale");
  clearTimeout(state.timer);
  state.timer = setTimeout(send, PAUSE);
}

async function send() {
  if (state.busy) return;
  clearTimeout(state.retry);
  const asked = given();
  if (fields.some((field) => field.required && !field.value.trim())) {
    showError("");
    return show("", "");
  }
  state.busy = true;
  try {
    const answer = await ask("answer", asked);
    showError("");
    show(answer.html, answer.brief);
  } catch (error) {
    if (error instanceof Refusal) {
      show("", "");
      showError(sentence(error.message));
    } else {
      showError(`${isGone(error) ? GONE : error.message} Trying again …`);
      state.retry = setTimeout(send, RETRY);
      return;
    }
  } finally {
    state.busy = false;
  }
  if (JSON.stringify(given()) !== JSON.stringify(asked)) send();
}

fields.forEach((field) => field.addEventListener("input", changed));
$("form").addEventListener("submit", (event) => event.preventDefault());
send();
