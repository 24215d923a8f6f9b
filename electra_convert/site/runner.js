// A model with its tokenizer: texts cut into pieces, laid in rows and windows, run one row after the other.
import { Refusal } from "./page.js";

export class Runner {
  constructor(settings, tokenizer, network) {
    Object.assign(this, { settings, tokenizer, network });
  }

  encode(text) {
    return this.tokenizer.encode(text);
  }

  // Windows over pieces: all that is asked of a piece is taken of the one that shows the most around it.
  windows({ pieces }, taken = 0) {
    const [count, room] = [pieces.length, this.settings.positions - 2 - taken];
    if (count <= room) return [{ start: 0, stop: count, first: 0, last: count }];
    const step = Math.max(1, Math.floor(room / 2));
    const starts = [];
    for (let start = 0; start < count - room; start += step) starts.push(start);
    starts.push(count - room);
    const ends = starts.slice(1).map((after, index) => Math.floor((starts[index] + room + after) / 2));
    return starts.map((start, index) => ({
      start,
      stop: start + room,
      first: index ? ends[index - 1] : 0,
      last: index < ends.length ? ends[index] : count,
    }));
  }

  // One text between [CLS] and [SEP], or two, with a [SEP] after each.
  row(first, second = null) {
    const { special, segment } = this.settings;
    const ids = [special["[CLS]"], ...first.map((piece) => piece.id), special["[SEP]"]];
    const types = ids.map(() => segment);
    if (second) {
      ids.push(...second.map((piece) => piece.id), special["[SEP]"]);
      while (types.length < ids.length) types.push(1);
    }
    return { ids, types };
  }

  // The logits of every output, by its name.
  async run(row) {
    const outputs = await this.network.run(row);
    for (const { data } of Object.values(outputs)) {
      if (!data.every(Number.isFinite)) throw new Refusal("What the model computes is not finite: it is damaged.");
    }
    return outputs;
  }

  // The logits at each piece of a text, and in how many windows it was run.
  async byPieces(text) {
    const windows = this.windows(text);
    const owned = [];
    for (const window of windows) {
      const { data, dims } = (await this.run(this.row(text.pieces.slice(window.start, window.stop)))).logits;
      const wide = data.length / dims[1];
      for (let piece = window.first; piece < window.last; piece += 1) {
        const at = 1 + piece - window.start; // [CLS] stands before the first piece
        owned.push(data.subarray(at * wide, (at + 1) * wide));
      }
    }
    return { logits: owned, windows: windows.length };
  }
}

export function windowsNote(windows, done) {
  return windows > 1 ? `longer than the model's input: ${done} in ${windows} windows that overlap.` : null;
}

// In 64 bits, so that one half is exactly where the logit is 0.
export function sigmoid(logit) {
  return 0.5 * (1 + Math.tanh(0.5 * logit));
}

export function softmax(logits) {
  const most = logits.reduce((one, other) => Math.max(one, other));
  const powers = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = powers.reduce((one, other) => one + other);
  return powers.map((power) => power / sum);
}

// The places of the numbers, the highest first; of equal ones the first.
export function ranked(numbers) {
  return Array.from(numbers, (_, index) => index).sort((one, other) => numbers[other] - numbers[one] || one - other);
}
