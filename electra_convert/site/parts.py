"""A converted model as files of the page: its graph, its tokenizer, and what the page must know to run it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_convert.config.transformers import read_config
from electra_convert.errors import OutputError, VocabularyError, listing
from electra_convert.formats.names import CONFIG_FILE, CONVERSION_FILE, ONNX_FOLDER, TOKENIZER_FILE
from electra_convert.site.characters import written_out
from electra_convert.tokenizer.definition import parse_tokenizer
from electra_convert.tokenizer.folder import max_length_of_folder
from electra_convert.tokenizer.vocabulary import SPECIAL_TOKENS, read_small

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CHARACTERS_FILE = "characters.json"
# WebAssembly has 4 GB, in which the file and the weights made of it lie side by side for a moment.
_LARGEST = 1_900_000_000


@dataclass(frozen=True)
class Part:
    """One model of the page.

    Attributes:
        files: its files, each where it is or as it is made, by path within the page's folder.
        settings: what the page is told of it.
        tokenizer: cuts texts into its pieces.
    """

    files: Mapping[str, Path | bytes]
    settings: Mapping[str, Any]
    tokenizer: Tokenizer


def part_of_folder(folder: Path, name: str, title: str, is_fine_tuned: bool) -> Part:
    """Make a part out of a model folder with an ONNX file in it, as convert --to onnx writes it.

    Args:
        folder: the model's.
        name: the part's folder within the page's.
        title: what the model is called, for messages.
        is_fine_tuned: whether it is given none but the lengths of its fine-tuning.

    Raises:
        VocabularyError: it has no tokenizer, or one that the page has no code for.
        OutputError: it is too large for a browser.
    """
    graph, tokenizer, config = _graph(folder, title), _tokenizer(folder, title), read_config(folder / CONFIG_FILE)
    paths = {
        "model": f"{name}/{ONNX_FOLDER}/{graph.name}",
        "tokenizer": f"{name}/{TOKENIZER_FILE}",
        "characters": f"{name}/{_CHARACTERS_FILE}",
    }
    files: dict[str, Path | bytes] = {
        paths["model"]: graph,
        paths["characters"]: encoded(written_out(tokenizer, title)),
        **{f"{name}/{kept}": folder / kept for kept in (CONFIG_FILE, CONVERSION_FILE, TOKENIZER_FILE)},
    }
    labels = config.get("id2label", {}) if is_fine_tuned else {}
    stated = max_length_of_folder(folder) if is_fine_tuned else None
    positions = config["max_position_embeddings"]
    settings = {
        "files": paths,
        "special": {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS},
        "positions": int(min(stated, positions)) if stated and stated > 0 else positions,
        "segment": min(next(iter(tokenizer.encode("[MASK]").type_ids), 0), config["type_vocab_size"] - 1),
        "labels": [labels[key] for key in sorted(labels, key=int)],
        "problem_type": config.get("problem_type"),
    }
    return Part(files, settings, tokenizer)


def encoded(value: object) -> bytes:
    """JSON for the page, as small as it can be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _graph(folder: Path, title: str) -> Path:
    """The model's file: the one of whole numbers where there is one."""
    found = sorted((folder / ONNX_FOLDER).glob("*.onnx"), key=lambda path: path.stat().st_size)
    graph = found[0]
    beside = [path.name for path in graph.parent.iterdir() if path.suffix != graph.suffix]
    if graph.stat().st_size > _LARGEST or beside:
        raise OutputError(
            f"{title} is too large for a browser, which has room for a file of {_LARGEST / 1e9:.1f} GB",
            "Make it smaller with --quantize int8, or use demo --web.",
        )
    return graph


def _tokenizer(folder: Path, title: str) -> Tokenizer:
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        raise VocabularyError(f"{title} has no tokenizer, which its page needs", "Give the vocabulary with --vocab.")
    tokenizer = parse_tokenizer(read_small(path), path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if missing := [token for token in SPECIAL_TOKENS if tokenizer.token_to_id(token) is None]:
        raise VocabularyError(
            f"the tokenizer of {title} lacks {listing(missing)}", "Give the model's vocabulary with --vocab."
        )
    return tokenizer
