// A text cut into pieces that know their place in it, as tokenizer.json has it; places are counted in code points.
import { Refusal } from "./page.js";

const NOTHING_LEFT =
  "The text has nothing in it that the model could be given: only white space or control characters. Give it a word or two.";

export class WordPiece {
  constructor(definition, characters, special) {
    const { vocab, unk_token: unknown, max_input_chars_per_word: longest, continuing_subword_prefix: prefix } = definition.model;
    Object.assign(this, { unknown, longest, prefix, characters });
    this.ids = new Map(Object.entries(vocab));
    const added = definition.added_tokens.map((token) => ({
      ...token,
      points: Array.from(token.content),
      special: special.includes(token.content),
    }));
    // Where several begin at one place, the longest is meant.
    added.sort((one, other) => other.points.length - one.points.length);
    this.names = new Map([...this.ids, ...added.map(({ content, id }) => [content, id])].map(([name, id]) => [id, name]));
    this.written = added.filter((token) => !token.normalized);
    this.normalised = added
      .filter((token) => token.normalized)
      .map((token) => ({ ...token, points: characters.normalised(token.points, 0, token.points.length).map((one) => one.character) }));
  }

  // The piece of an id; none where a row of the embeddings only pads them.
  name(id) {
    return this.names.get(id);
  }

  encode(text) {
    const points = Array.from(text);
    this.check(points);
    const pieces = [];
    let word = 0;
    for (const part of this.parts(points)) {
      pieces.push(...this.piecesOf(part).map((piece) => ({ ...piece, word })));
      word += 1;
    }
    if (!pieces.length) throw new Refusal(NOTHING_LEFT);
    pieces.forEach((piece, index) => {
      const until = index + 1 < pieces.length ? pieces[index + 1].start : points.length;
      while (piece.end < until && this.characters.is("trailing", points[piece.end])) piece.end += 1;
    });
    return { text, points, pieces };
  }

  check(points) {
    if (points.every((point) => this.characters.is("blank", point))) {
      throw new Refusal("The text is empty. Give it a word or two.");
    }
    const half = points.findIndex((point) => point.length === 1 && point >= "\ud800" && point <= "\udfff");
    if (half >= 0) throw new Refusal(`Character ${half + 1} of the text is half of one.`);
  }

  // Added tokens, and the words between them.
  *parts(points) {
    const written = points.map((character, source) => ({ character, source }));
    for (const { token, start, end } of matches(written, this.written)) {
      if (token) yield { token, start, end };
      else yield* this.words(this.characters.normalised(points, start, end));
    }
  }

  *words(letters) {
    for (const { token, start, end } of matches(letters, this.normalised)) {
      if (token) yield { token, start: letters[start].source, end: letters[end - 1].source + 1 };
      else yield* this.between(letters.slice(start, end));
    }
  }

  *between(letters) {
    let word = [];
    for (const letter of letters) {
      const space = this.characters.is("space", letter.character);
      const single = !space && this.characters.is("single", letter.character);
      if (word.length && (space || single)) yield { word };
      if (space || single) word = [];
      if (single) yield { word: [letter] };
      else if (!space) word.push(letter);
    }
    if (word.length) yield { word };
  }

  piecesOf({ token, word, start, end }) {
    if (token) return [{ text: token.content, id: token.id, start, end, special: token.special }];
    const found = word.length > this.longest ? null : this.cut(word);
    return found || [this.piece(this.unknown, word)];
  }

  // The longest piece that fits, and the longest of what is left of it; nothing where one is not found.
  cut(word) {
    const pieces = [];
    let start = 0;
    while (start < word.length) {
      let end = word.length;
      const name = () => (start ? this.prefix : "") + word.slice(start, end).map((one) => one.character).join("");
      while (end > start && !this.ids.has(name())) end -= 1;
      if (end === start) return null;
      pieces.push(this.piece(name(), word.slice(start, end)));
      start = end;
    }
    return pieces;
  }

  piece(text, letters) {
    return { text, id: this.ids.get(text), start: letters[0].source, end: letters.at(-1).source + 1, special: false };
  }
}

// Where the tokens stand among the letters, the first and longest first, and the stretches between them.
function* matches(letters, tokens) {
  let done = 0;
  for (let start = 0; tokens.length && start < letters.length; ) {
    const token = tokens.find(({ points }) => points.every((point, index) => letters[start + index]?.character === point));
    if (!token) {
      start += 1;
      continue;
    }
    if (start > done) yield { start: done, end: start };
    done = start + token.points.length;
    yield { token, start, end: done };
    start = done;
  }
  if (done < letters.length) yield { start: done, end: letters.length };
}
