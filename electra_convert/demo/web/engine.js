// What answers the page: the server that it came from. Addresses are relative: a notebook's proxy serves the page below
// a path of its own.
import { Gone, Refusal } from "./page.js";

const BUSY = 503;
const GONE = "The server does not answer. Is electra-convert still running?";

export async function ask(name, fields) {
  const response = await unlessGone(fetch(`api/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  }));
  if (response.status === BUSY) throw new Error("The server has too much to do.");
  const answer = await unlessGone(response.json());
  if (!response.ok) throw new Refusal([answer.error, answer.hint].filter(Boolean).join(" "));
  return answer;
}

// fetch throws a TypeError where no server answers; what is no JSON comes from another program's.
async function unlessGone(promise) {
  try {
    return await promise;
  } catch (error) {
    throw error instanceof TypeError || error instanceof SyntaxError ? new Gone(GONE) : error;
  }
}
