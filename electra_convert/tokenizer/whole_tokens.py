"""Tokenizers of which every token is a word between spaces, or a character: tokenizer.json made of a vocabulary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from electra_convert.errors import listing
from electra_convert.formats.names import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, VOCABULARY_FILE
from electra_convert.tokenizer.vocabulary import SPECIAL_TOKENS, Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Unit = Literal["whitespace", "characters"]
# What str.split takes for white space: four separators more than Unicode's class.
WHITE_SPACE = r"[\s\x1c-\x1f]+"


def whole_token_files(vocabulary: Vocabulary, unit: Unit, lower_case: bool) -> dict[str, bytes]:
    """Make the files of a tokenizer, which transformers loads as they are.

    Args:
        vocabulary: the words or characters, and ELECTRA's special tokens.
        unit: what a token is; white space separates them, and is none itself.
        lower_case: whether text is lower-cased.

    Returns:
        tokenizer.json, tokenizer_config.json and vocab.txt: the same bytes for the same arguments.
    """
    from tokenizers import AddedToken, decoders, models, processors

    ids = vocabulary.ids
    tokenizer = splitting(unit, lower_case)
    tokenizer.model = models.WordLevel(ids, unk_token="[UNK]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    if unit == "characters":
        tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS])
    config = {
        "do_lower_case": lower_case,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{token.strip('[]').lower()}_token": token for token in SPECIAL_TOKENS},
    }
    return {
        TOKENIZER_FILE: (tokenizer.to_str(pretty=True) + "\n").encode(),
        TOKENIZER_CONFIG_FILE: (json.dumps(config, indent=2, sort_keys=True) + "\n").encode(),
        VOCABULARY_FILE: vocabulary.raw,
    }


def splitting(unit: Unit, lower_case: bool) -> Tokenizer:
    """What cuts a text into words or characters, with no vocabulary yet to look them up in."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    if lower_case:
        tokenizer.normalizer = normalizers.Lowercase()
    words = pre_tokenizers.Split(Regex(WHITE_SPACE), "removed")
    characters = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.pre_tokenizer = words if unit == "whitespace" else pre_tokenizers.Sequence([words, characters])
    return tokenizer


def unreachable(vocabulary: Vocabulary, unit: Unit, lower_case: bool) -> str | None:
    """What is said of tokens of a vocabulary that no text gives; None where every one can be."""
    tokenizer = splitting(unit, lower_case)
    lost = [piece for piece in vocabulary.pieces if piece not in SPECIAL_TOKENS and not _is_whole(tokenizer, piece)]
    if not lost:
        return None
    name = "word" if unit == "whitespace" else "character"
    return (
        f"{len(lost)} of {len(vocabulary)} tokens of {vocabulary.path.name} can never be produced, since they are no "
        f"{'lower-case ' if lower_case else ''}{name}: {listing(map(repr, lost), 4)}."
    )


def _is_whole(tokenizer: Tokenizer, piece: str) -> bool:
    text = piece if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(piece)
    return text == piece and [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)] == [piece]
