"""The tokenizer files transformers reads, made from a vocabulary; tokenizer.json follows Google's FullTokenizer
rule by rule (model/tokenization.py), and docs/tokenizer.md lists where it cannot."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from electra_convert.schemes.family import ELECTRA
from electra_convert.tokenizer.vocabulary import SPECIAL_TOKENS, Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer, normalizers, pre_tokenizers

# WordpieceTokenizer: a longer word becomes [UNK]. BERT's and transformers' own limit is 100.
LONGEST_WORD = 200

# _is_chinese_char: these ideographs are words of their own.
_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)

# _clean_text: control, format, private and unassigned characters are dropped; these three are white space instead.
_DROPPED = "(?![\\t\\n\\r])[\\p{C}\ufffd]"

# str.lower makes a sigma final where a letter stands before it and none after, signs such as accents and full stops
# between them not counted (Unicode, Final_Sigma); Rust's lower-casing looks at single characters. The bound on what
# is looked at behind keeps the time linear.
_FINAL_SIGMA = (
    r"(?<=[^\P{Cased}\p{Case_Ignorable}]\p{Case_Ignorable}{0,16})Σ"
    r"(?!\p{Case_Ignorable}*[^\P{Cased}\p{Case_Ignorable}])"
)


@dataclass(frozen=True)
class TokenizerSettings:
    """How text is made ready for its pieces, under transformers' names.

    Attributes:
        lower_case: whether it is lower-cased.
        strip_accents: whether accents are stripped; only done when lower-casing, as in Google's code.
        tokenize_chinese_chars: whether each ideograph is a word of its own, as in Google's code.
        added_tokens: pieces that are matched whole, as they are written, before anything else is done.
        longest_word: a word of more characters is [UNK]; 200 in Google's code.
    """

    lower_case: bool
    strip_accents: bool
    tokenize_chinese_chars: bool = True
    added_tokens: tuple[str, ...] = ()
    longest_word: int = LONGEST_WORD

    @property
    def strips(self) -> bool:
        """Whether accents go in the end."""
        return self.lower_case and self.strip_accents


def encode_tokenizer(vocabulary: Vocabulary, settings: TokenizerSettings, segment: int = 0) -> bytes:
    """Make tokenizer.json; the segment is the token type of a text, and of the first of two."""
    from tokenizers import AddedToken, decoders, models, processors

    ids = vocabulary.ids
    tokenizer = splitting(settings)
    tokenizer.model = models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=settings.longest_word)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"[CLS]:{segment} $A:{segment} [SEP]:{segment}",
        pair=f"[CLS]:{segment} $A:{segment} [SEP]:{segment} $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in settings.added_tokens])
    return (tokenizer.to_str(pretty=True) + "\n").encode()


def splitting(settings: TokenizerSettings) -> Tokenizer:
    """What cuts a text into words, with no pieces yet to cut those into."""
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]", max_input_chars_per_word=LONGEST_WORD))
    tokenizer.normalizer = _normalizer(settings)
    tokenizer.pre_tokenizer = _pre_tokenizer(settings.tokenize_chinese_chars)
    return tokenizer


def _normalizer(settings: TokenizerSettings) -> normalizers.Normalizer:
    from tokenizers import Regex, normalizers

    steps: list[normalizers.Normalizer] = [normalizers.Replace(Regex(_DROPPED), "")]
    if settings.lower_case:
        steps += [normalizers.Replace(Regex(_FINAL_SIGMA), "ς"), normalizers.Lowercase()]
    if settings.strips:
        steps += [normalizers.NFD(), normalizers.Replace(Regex(r"\p{Mn}"), "")]
    return normalizers.Sequence(steps)


def _pre_tokenizer(tokenize_chinese_chars: bool) -> pre_tokenizers.PreTokenizer:
    from tokenizers import Regex, pre_tokenizers

    # _is_punctuation: everything printable in ASCII that is neither letter nor digit, and Unicode's class P.
    split = _IDEOGRAPHS if tokenize_chinese_chars else ()
    ideographs = "".join(f"{chr(first)}-{chr(last)}" for first, last in split)
    single = Regex(rf"[!-/:-@\[-`{{-~\p{{P}}{ideographs}]")
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(single, "isolated")])


def encode_tokenizer_config(
    vocabulary: Vocabulary, settings: TokenizerSettings, max_length: int, segment: int = 0
) -> bytes:
    """Make tokenizer_config.json, from which transformers takes the class and builds a tokenizer of its own.

    Accents are written as kept where nothing is lower-cased: Google's code strips only then, and transformers would
    strip regardless. The longest input, in tokens, is the model's max_position_embeddings.
    """
    ids = vocabulary.ids
    added = sorted({*SPECIAL_TOKENS, *settings.added_tokens}, key=ids.__getitem__)
    unusual = settings.longest_word != LONGEST_WORD
    config = {
        "added_tokens_decoder": {str(ids[token]): _added_token(token) for token in added},
        "clean_up_tokenization_spaces": True,
        "do_lower_case": settings.lower_case,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "model_max_length": max_length,
        "strip_accents": settings.strips,
        "tokenize_chinese_chars": settings.tokenize_chinese_chars,
        # Others than Google's stand in tokenizer.json alone, which ELECTRA's own class would rebuild without them.
        "tokenizer_class": "PreTrainedTokenizerFast" if segment or unusual else ELECTRA.tokenizer_class,
        **{f"{token.strip('[]').lower()}_token": token for token in SPECIAL_TOKENS},
    }
    return (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()


def _added_token(token: str) -> dict[str, Any]:
    special = token in SPECIAL_TOKENS
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": special}
    return {"content": token, **flags}
