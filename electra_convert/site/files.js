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
    return Promise.all(names.map((name) => this.read(name, came)));
  }

  async read(name, came) {
    const response = await fetch(new URL(name, import.meta.url));
    if (!response.ok) throw new Error(`${name} cannot be loaded: the server answers ${response.status}.`);
    const content = new Uint8Array(this.sizes[name]);
    let filled = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
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

function wrongSize(name) {
  return new Refusal(`${name} has another size than it was made with: is the copy of this page complete?`);
}
