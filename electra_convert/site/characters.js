// What the tokenizer does with each character, as characters.json has it: nothing here asks the browser's Unicode.

const CAPITAL_SIGMA = "\u03a3";
const FINAL_SIGMA = "\u03c2";
const LOOKED_PAST = 16; // characters between a sigma and the letter before it, at most

function isIn(ranges, point) {
  let low = 0;
  let high = ranges.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[2 * middle + 1] < point) low = middle + 1;
    else high = middle;
  }
  return 2 * low < ranges.length && ranges[2 * low] <= point;
}

export class Characters {
  constructor(table) {
    this.table = table;
    const from = Array.from(table.mapped.from);
    const to = table.mapped.to.split("\n");
    this.mapped = new Map(from.map((character, index) => [character, Array.from(to[index])]));
  }

  is(kind, character) {
    return isIn(this.table[kind], character.codePointAt(0));
  }

  // Code points, made ready for the vocabulary; of each where in the text it comes from.
  normalised(points, start, end) {
    const made = [];
    const seen = this.seenBySigmas(points, start, end);
    for (let index = start; index < end; index += 1) {
      const character = points[index];
      if (this.is("dropped", character)) continue;
      const final = character === CAPITAL_SIGMA && this.isFinal(seen, index);
      const becomes = final ? [FINAL_SIGMA] : this.becomes(character);
      made.push(...becomes.map((one) => ({ character: one, source: index })));
    }
    return made;
  }

  becomes(character) {
    if (this.is("spaced", character)) return [" ", character, " "];
    return this.mapped.get(character) || [character];
  }

  // What stands around a sigma when its case is decided: control characters are gone by then, accents are not.
  seenBySigmas(points, start, end) {
    const classes = this.table.final_sigma;
    const found = points.indexOf(CAPITAL_SIGMA, start);
    if (!classes || found < 0 || found >= end) return null;
    const seen = [];
    for (let index = start; index < end; index += 1) {
      const point = points[index].codePointAt(0);
      const ignorable = isIn(classes.ignorable, point);
      if (ignorable || !this.is("dropped", points[index])) {
        seen.push({ index, ignorable, cased: isIn(classes.cased, point) });
      }
    }
    return seen;
  }

  isFinal(seen, index) {
    if (!seen) return false;
    const place = seen.findIndex((one) => one.index === index);
    let before = place - 1;
    while (before >= 0 && seen[before].ignorable && place - before <= LOOKED_PAST) before -= 1;
    let behind = place + 1;
    while (behind < seen.length && seen[behind].ignorable) behind += 1;
    return before >= 0 && seen[before].cased && !(behind < seen.length && seen[behind].cased);
  }
}
