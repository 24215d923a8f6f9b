// What answers the page: models that run in the browser, in a thread of their own.
import { $, Refusal } from "./page.js";

const WITHOUT = "This browser has no WebAssembly, or has it switched off (as iOS does in Lockdown Mode): the model cannot run in it.";
const MEGABYTE = 1e6;

const waiting = new Map();
let worker;
let asked = 0;

$("unstarted").remove();
// What goes wrong is told to the first who asks something of the model.
ask("open", {}).catch(() => {});

export function ask(name, fields) {
  if (typeof WebAssembly !== "object") return Promise.reject(new Refusal(WITHOUT));
  if (!worker) worker = begun();
  asked += 1;
  return new Promise((resolve, reject) => {
    waiting.set(asked, { resolve, reject });
    worker.postMessage({ number: asked, name, fields });
  });
}

// Begun from a Blob it is bound by the page's own Content-Security-Policy.
function begun() {
  const code = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
  const place = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const made = new Worker(place, { type: "module" });
  made.onmessage = ({ data }) => (data.progress ? show(data.progress) : settle(data));
  made.onerror = () => {
    worker = null;
    waiting.forEach(({ reject }) => reject(new Error("A file of this page cannot be loaded.")));
    waiting.clear();
  };
  return made;
}

function settle({ number, answer, error, refused }) {
  const { resolve, reject } = waiting.get(number);
  waiting.delete(number);
  $("loading").hidden = true;
  if (error === undefined) resolve(answer);
  else reject(refused ? new Refusal(error) : new Error(error));
}

function show({ loaded, total }) {
  $("loading").hidden = false;
  $("loaded").max = total;
  $("loaded").value = loaded;
  $("amount").textContent = `${Math.round(loaded / MEGABYTE)} of ${Math.round(total / MEGABYTE)} MB`;
}
