"""The written folder loads in transformers 5 and 4, and what either makes of it is what the docs say."""

# ruff: noqa: RUF001 - Greek letters are meant

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support import full_tokenizer
from tokenizers import Tokenizer

from electra_convert.tokenizer import (
    SPECIAL_TOKENS,
    TokenizerSettings,
    Vocabulary,
    encode_tokenizer,
    encode_tokenizer_config,
    read_vocabulary,
)

pytestmark = pytest.mark.slow

FIXTURES = Path(__file__).parents[2] / "fixtures"
GOLDEN = json.loads((FIXTURES / "tokenizer" / "full_tokenizer.json").read_text(encoding="utf-8"))
CASINGS = [(True, True), (True, False), (False, True)]
# Characters that transformers 5 treats otherwise than Google's code on Python 3.11, by category, as in the docs.
EVERY_CASING = {"Po": 94, "Ps": 4, "Pe": 4, "Pd": 2, "Cf": 13, "So": 1, "Lo": 256}
OTHERWISE = {(True, True): {**EVERY_CASING, "Mn": 384, "Mc": 2}, (True, False): {**EVERY_CASING, "Mn": 1}}

SCRIPT = """
import json, sys, unicodedata
from transformers import AutoTokenizer, PreTrainedTokenizerFast

def words(backend, text):
    return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text))]

def found(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    verbatim = PreTrainedTokenizerFast.from_pretrained(folder)
    return {
        "class": type(tokenizer).__name__,
        "lower": tokenizer.do_lower_case,
        "length": tokenizer.model_max_length,
        "special": [tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id,
                    tokenizer.mask_token_id],
        "single": [dict(tokenizer(text)) for text in texts],
        "pair": dict(tokenizer("hello", "los los")),
        "decoded": tokenizer.decode(tokenizer("don't stop!").input_ids, skip_special_tokens=True),
        "words": {sign: words(tokenizer.backend_tokenizer, f"{sign} a{sign}B 1{sign}.") for sign in assigned},
        "counts": [len(tokenizer.tokenize("a" * length)) for length in (100, 101, 200, 201)],
        "sigma": words(tokenizer.backend_tokenizer, "ΟΣ"),
        "verbatim": [dict(verbatim(text)) for text in texts],
    }

texts, text, together, *folders = json.loads(sys.argv[1])
# Without Hangul and most ideographs, which make up half of Unicode and differ in nothing.
codes = [*range(0x4E00), *range(0xA000, 0xAC00), *range(0xD7A4, 0x20000), *range(0x2A6D0, 0xF0000)]
assigned = [sign for sign in map(chr, codes) if unicodedata.category(sign) not in ("Cn", "Cs")]
ways = [kind.from_pretrained(together).tokenize(text) for kind in (AutoTokenizer, PreTrainedTokenizerFast)]
print(json.dumps([ways, *(found(folder) for folder in folders)]))
"""
IDEOGRAPHS = "東京東京 B[link]al+b AL"


def loaded(together: Path, folders: Iterable[Path], version: int) -> list[Any]:
    """What a transformers of that version, in a process of its own, makes of the folders."""
    environment = dict(os.environ)
    if version == 4:
        place = os.environ.get("TRANSFORMERS4")
        if not place:
            pytest.skip("TRANSFORMERS4 names no folder with transformers 4 (make test installs one)")
        environment["PYTHONPATH"] = place
    given = [GOLDEN["texts"], IDEOGRAPHS, *map(str, (together, *folders))]
    command = [sys.executable, "-c", SCRIPT, json.dumps(given)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[bool, bool], Path]:
    vocabulary = read_vocabulary(FIXTURES / "tokenizer" / "vocab_multi.txt")
    places = {casing: tmp_path_factory.mktemp("model") for casing in CASINGS}
    for casing, place in places.items():
        write_tokenizer(place, vocabulary, TokenizerSettings(*casing))
    return places


def write_tokenizer(place: Path, vocabulary: Vocabulary, settings: TokenizerSettings) -> None:
    (place / "config.json").write_text('{"model_type": "electra"}')
    (place / "vocab.txt").write_bytes(vocabulary.raw)
    (place / "tokenizer.json").write_bytes(encode_tokenizer(vocabulary, settings))
    (place / "tokenizer_config.json").write_bytes(encode_tokenizer_config(vocabulary, settings, max_length=128))


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer that keeps ideographs together, and some tokens whole."""
    place = tmp_path_factory.mktemp("together")
    pieces = (*SPECIAL_TOKENS, "東京", "##東京", "[link]", "al+", "a", "##l", "b")
    vocabulary = Vocabulary(pieces, "\n".join(pieces).encode(), place / "vocab.txt")
    settings = TokenizerSettings(True, True, tokenize_chinese_chars=False, added_tokens=("[link]", "al+"))
    write_tokenizer(place, vocabulary, settings)
    return place


@pytest.fixture(scope="module", params=[5, 4], ids=["transformers 5", "transformers 4"])
def version(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def made(folders: dict[tuple[bool, bool], Path], together: Path, version: int) -> list[Any]:
    return loaded(together, folders.values(), version)


@pytest.fixture(scope="module")
def found_by_casing(folders: dict[tuple[bool, bool], Path], made: list[Any]) -> dict[tuple[bool, bool], Any]:
    return dict(zip(folders, made[1:], strict=True))


@pytest.fixture(params=CASINGS, ids=["uncased", "uncased, accents kept", "cased"])
def casing(request: pytest.FixtureRequest) -> tuple[bool, bool]:
    return request.param


@pytest.fixture
def folder(folders: dict[tuple[bool, bool], Path], casing: tuple[bool, bool]) -> Path:
    return folders[casing]


@pytest.fixture
def found(found_by_casing: dict[tuple[bool, bool], dict[str, Any]], casing: tuple[bool, bool]) -> dict[str, Any]:
    return found_by_casing[casing]


def test_the_tokenizer_is_electras_with_its_settings(found, casing, version):
    assert found["class"] == {4: "ElectraTokenizerFast", 5: "BertTokenizer"}[version]
    assert found["lower"] is casing[0]
    assert found["length"] == 128
    assert found["special"] == [0, 1, 2, 3, 4]
    assert found["decoded"] == "don't stop!"


def test_singles_and_pairs_are_framed_with_token_types(found, folder):
    hello, los = (read_vocabulary(folder / "vocab.txt").ids[word] for word in ("hello", "los"))
    assert found["pair"] == {
        "input_ids": [2, hello, 3, los, los, 3],
        "token_type_ids": [0, 0, 0, 1, 1, 1],
        "attention_mask": [1] * 6,
    }
    assert all(set(single["token_type_ids"]) == {0} for single in found["single"])


@pytest.mark.parametrize("way", ["single", "verbatim"])
def test_texts_are_encoded_as_googles_code_does(way, found, casing, folder):
    tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for text, encoding in zip(GOLDEN["texts"], found[way], strict=True):
        assert encoding["input_ids"] == tokenizer.encode(text).ids, text
        assert set(encoding) == {"input_ids", "token_type_ids", "attention_mask"}


@cache
def words_by_google(sign: str, lower_case: bool, strip_accents: bool) -> list[str]:
    return full_tokenizer.words(f"{sign} a{sign}B 1{sign}.", lower_case, strip_accents)


def test_characters_are_treated_otherwise_only_where_the_docs_say_so(found, casing, version):
    signs = (sign for sign, words in found["words"].items() if words != words_by_google(sign, *casing))
    different = Counter(map(unicodedata.category, signs))
    if version == 5:
        assert different == OTHERWISE.get(casing, {**EVERY_CASING, "Mn": 1})
    else:
        assert different == ({"Mn": 1, "Mc": 1} if casing == (True, True) else {})


def test_words_of_over_100_characters_are_unknown_to_transformers_5_alone(found, version):
    assert found["counts"] == {4: [100, 101, 200, 1], 5: [100, 1, 1, 1]}[version]


def test_a_final_sigma_is_known_to_all_but_transformers_5(found, casing, version):
    expected = {4: "ος", 5: "οσ"}[version] if casing[0] else "ΟΣ"
    assert found["sigma"] == [expected]


def test_ideographs_are_kept_together_and_added_tokens_are_matched_whole(made):
    ways, *_ = made
    assert ways == [["東京", "##東京", "b", "[link]", "al+", "b", "a", "##l"]] * 2
