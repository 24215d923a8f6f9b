// The files of the site, read once each, with what has come of them so far.
import { Refusal } from "./page.js";

export class Files {
  // The sizes are the site's own account: what a server states may be of what it packed.
  constructor(sizes, tell) {
    Object.assign(this, { sizes, tell });
  }

  async all(names) {
    const total = names.reduce((sum, name) => sum + this.sizes[name], 0);
    let loaded = 0;
    const came = (bytes) => {
      loaded += bytes;
      this.tell({ loaded, total });
    };
    const others = new AbortController();
    try {
      return await Promise.all(names.map((name) => this.read(name, came, others.signal)));
    } finally {
      // Where one fails, the others are not waited for, nor told of.
      others.abort();
    }
  }

  async read(name, came, signal) {
    const response = await fetched(name, signal);
    const content = new Uint8Array(this.sizes[name]);
    let filled = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reached(name, reader.read());
      if (done) break;
      if (filled + value.length > content.length) throw wrongSize(name);
      content.set(value, filled);
      filled += value.length;
      came(value.length);
    }
    if (filled !== content.length) throw wrongSize(name);
    return content;
  }
}

export async function fetched(name, signal) {
  const response = await reached(name, fetch(new URL(name, import.meta.url), { signal }));
  if (!response.ok) throw new Error(`${name} cannot be loaded: the server answers ${response.status}.`);
  return response;
}

export function parsed(name, text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(`${name} is damaged: is the copy of this page complete?`);
  }
}

// What a browser says of a server that is gone names neither it nor the file.
async function reached(name, promise) {
  try {
    return await promise;
  } catch {
    throw new Error(`${name} cannot be loaded: the server does not answer.`);
  }
}

function wrongSize(name) {
  return new Refusal(`${name} has another size than it was made with: is the copy of this page complete?`);
}
