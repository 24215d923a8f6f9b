// The interactive page of a fine-tuned model: asks what is typed when typing pauses, and shows what is answered.
import { drawn } from "./drawing.js";
import { ask } from "./engine.js";
import { $, Refusal, sentence, showError } from "./page.js";

const PAUSE = 300; // milliseconds without a key before the texts are sent
const RETRY = 1500; // milliseconds before what does not answer is asked again

const fields = Array.from($("form").querySelectorAll("textarea"));
const state = { busy: false, timer: 0, retry: 0 };

function given() {
  return { other: "", ...Object.fromEntries(fields.map((field) => [field.id, field.value])) };
}

function show(elements, told) {
  const open = $("answers").querySelector("details")?.open;
  $("answers").replaceChildren(...elements);
  if (open && $("answers").querySelector("details")) $("answers").querySelector("details").open = true;
  $("answers").classList.remove("stale");
  $("status").textContent = told;
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
    return show([], "");
  }
  state.busy = true;
  try {
    const { elements, told } = drawn(await ask("answer", asked));
    showError("");
    show(elements, told);
  } catch (error) {
    if (error instanceof Refusal) {
      show([], "");
      showError(sentence(error.message));
    } else {
      showError(`${error.message} Trying again …`);
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
