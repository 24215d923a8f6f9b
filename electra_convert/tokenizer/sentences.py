"""Sentences to try a model with, in the common languages, and which of them a vocabulary is meant for."""

# ruff: noqa: RUF001 - letters of other scripts are meant

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import name as character_name

from electra_convert.tokenizer.vocabulary import SPECIAL_TOKENS

# Of a vocabulary's letters, by pieces: English ones have a few hundred signs of every script, about one in a hundred.
_OWN_SCRIPT = 0.02
# A vocabulary of another language cuts nearly every word of a sentence into more.
_MOST_PIECES = 2.0  # a word
_NEARLY_BEST = 1.1
# Written without spaces, or a sign at a time: how many pieces a word has says nothing.
_WITHOUT_SPACES = frozenset({"zh", "ja", "th"})


@dataclass(frozen=True)
class Example:
    """A sentence, one of its words, and a word that does not belong in its place."""

    text: str
    word: str
    intruder: str

    @property
    def changed(self) -> str:
        """The sentence with the word replaced, for a discriminator to find."""
        return self.with_word(self.intruder)

    def with_word(self, word: str) -> str:
        """The sentence with something else in the word's place, such as a mask."""
        return self.text.replace(self.word, word, 1)


# Where the language is not known: it says what is to be written in its place.
PLACEHOLDER = Example("a sentence of its language", "sentence", "banana")

# The first of a language stands on its cards. The other English ones are of the kind that bundled models know: two of
# the documentation that fixtures/default has read, and of the fifty in fixtures/sample those that the sample finds.
EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    "en": (
        Example("The quick brown fox jumps over the lazy dog.", "jumps", "ate"),
        Example("Raise an error if the argument is not a number.", "a number", "an elephant"),
        Example("Return a list of the names in the current directory.", "names", "elephant"),
        Example("He put the book on the table.", "table", "hope"),
        Example("The dog barked at the stranger.", "stranger", "reason"),
        Example("She opened the door and walked into the room.", "door", "year"),
        Example("The boy threw a stone into the pond.", "threw", "knew"),
    ),
    "ar": (Example("ينام الكلب أمام باب البيت.", "ينام", "يكتب"),),
    "bg": (Example("Кучето спи пред вратата на къщата.", "спи", "пише"),),
    "bn": (Example("কুকুরটি বাড়ির দরজার সামনে ঘুমাচ্ছে।", "ঘুমাচ্ছে", "লিখছে"),),
    "ca": (Example("El gos dorm davant la porta de casa.", "dorm", "escriu"),),
    "cs": (Example("Pes spí před dveřmi domu.", "spí", "píše"),),
    "da": (Example("Hunden sover foran døren til huset.", "sover", "skriver"),),
    "de": (Example("Der Hund schläft vor der Tür des Hauses.", "schläft", "schreibt"),),
    "el": (Example("Ο σκύλος κοιμάται μπροστά στην πόρτα του σπιτιού.", "κοιμάται", "γράφει"),),
    "es": (Example("El perro duerme delante de la puerta de la casa.", "duerme", "escribe"),),
    "fa": (Example("کتاب روی میز است.", "میز", "ابر"),),
    "fi": (Example("Koira nukkuu talon oven edessä.", "nukkuu", "kirjoittaa"),),
    "fr": (Example("Le chien dort devant la porte de la maison.", "dort", "écrit"),),
    "he": (Example("הכלב ישן לפני דלת הבית.", "ישן", "כותב"),),
    "hi": (Example("कुत्ता घर के सामने सो रहा है।", "सो", "लिख"),),
    "hr": (Example("Pas spava ispred vrata kuće.", "spava", "piše"),),
    "hu": (Example("A kutya a ház előtt alszik.", "alszik", "olvas"),),
    "id": (Example("Anjing itu tidur di depan pintu rumah.", "tidur", "menulis"),),
    "it": (Example("Il cane dorme davanti alla porta di casa.", "dorme", "scrive"),),
    "ja": (Example("犬が家の前で寝ている。", "寝て", "書いて"),),
    "ko": (Example("강아지가 집 앞에서 자고 있다.", "자고", "쓰고"),),
    "nl": (Example("De hond slaapt voor de deur van het huis.", "slaapt", "schrijft"),),
    "no": (Example("Hunden sover foran døren til huset.", "sover", "skriver"),),
    "pl": (Example("Pies śpi przed drzwiami domu.", "śpi", "pisze"),),
    "pt": (Example("O cachorro dorme em frente à porta da casa.", "dorme", "escreve"),),
    "ro": (Example("Câinele doarme în fața casei.", "doarme", "scrie"),),
    "ru": (Example("Собака спит перед дверью дома.", "спит", "пишет"),),
    "sv": (Example("Hunden sover framför dörren till huset.", "sover", "skriver"),),
    "ta": (Example("நாய் வீட்டின் முன் தூங்குகிறது.", "தூங்குகிறது", "எழுதுகிறது"),),
    "th": (Example("สุนัขนอนอยู่หน้าบ้าน", "นอน", "เขียน"),),
    "tr": (Example("Köpek evin önünde uyuyor.", "uyuyor", "yazıyor"),),
    "uk": (Example("Собака спить перед дверима будинку.", "спить", "пише"),),
    "ur": (Example("کتاب میز پر ہے۔", "میز", "بادل"),),
    "vi": (Example("Con chó ngủ trước cửa nhà.", "ngủ", "viết"),),
    "zh": (Example("小狗在家门口睡觉。", "睡觉", "写字"),),
}


def example_of(languages: Sequence[str]) -> Example:
    """The sentence of the first language that there is one of; a placeholder where there is none."""
    return next((EXAMPLES[code][0] for code in languages if code in EXAMPLES), PLACEHOLDER)


def examples_of_vocabulary(pieces: Collection[str], cut: Callable[[str], Sequence[str]]) -> tuple[Example, ...]:
    """Sentences of the languages that a vocabulary seems to be meant for, by how it cuts them, if any.

    They have no [UNK], are in a script that the vocabulary has its share of, and of the languages whose words it cuts
    least.
    """
    scripts = _scripts(pieces)
    lengths = {code: length for code in EXAMPLES if (length := _pieces_a_word(code, scripts, cut)) <= _MOST_PIECES}
    best: dict[str, float] = {}
    for code, length in lengths.items():
        script = _script_of(code)
        best[script] = min(length, best.get(script, length))
    fitting = [code for code, length in lengths.items() if length <= _NEARLY_BEST * best[_script_of(code)]]
    return tuple(example for code in fitting for example in EXAMPLES[code] if _is_known(example.changed, cut))


def _scripts(pieces: Collection[str]) -> frozenset[str]:
    """The scripts of a vocabulary, but for those that it has a few signs of."""
    counts = Counter(script for piece in pieces if piece not in SPECIAL_TOKENS for script in set(_letters(piece)))
    return frozenset(script for script, count in counts.items() if count >= _OWN_SCRIPT * counts.total())


def _letters(text: str) -> Iterator[str]:
    """The script of each letter, such as LATIN, by which its name in Unicode begins."""
    for character in text:
        if character.isalpha():
            yield character_name(character, "").partition(" ")[0]


def _script_of(code: str) -> str:
    return next(_letters(EXAMPLES[code][0].text))


def _pieces_a_word(code: str, scripts: frozenset[str], cut: Callable[[str], Sequence[str]]) -> float:
    """Infinite where the vocabulary cannot write the language."""
    texts = [example.text for example in EXAMPLES[code] if _is_known(example.text, cut)]
    if not texts or not scripts.issuperset(_letters(texts[0])):
        return math.inf
    if code in _WITHOUT_SPACES:
        return 1.0
    pieces = [piece for text in texts for piece in cut(text) if any(map(str.isalnum, piece))]
    return len(pieces) / sum(len(text.split()) for text in texts)


def _is_known(text: str, cut: Callable[[str], Sequence[str]]) -> bool:
    return "[UNK]" not in cut(text)
