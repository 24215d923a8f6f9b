"""Converted models as files of the page: their graphs, their tokenizers, and what the page must know to run them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_convert.config.transformers import read_config
from electra_convert.errors import OutputError, VocabularyError, listing
from electra_convert.formats.names import (
    CONFIG_FILE,
    CONVERSION_FILE,
    ONNX_FILE,
    ONNX_FOLDER,
    PARITY_FILE,
    QUANTIZED_FILE,
    TOKENIZER_FILE,
)
from electra_convert.schemes.mapping import Role
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
class Cutter:
    """What cuts texts into pieces: a tokenizer, and its files by path within the page's folder."""

    tokenizer: Tokenizer
    definition: str
    characters: str
    files: Mapping[str, Path | bytes]


@dataclass(frozen=True)
class Part:
    """One model of the page.

    Attributes:
        files: its files, each where it is or as it is made, by path within the page's folder.
        settings: what the page is told of it.
        cutter: its tokenizer, which may be that of another part.
    """

    files: Mapping[str, Path | bytes]
    settings: Mapping[str, Any]
    cutter: Cutter


def parts_of_folders(folders: Mapping[Role, Path], title: str, is_fine_tuned: bool) -> dict[Role, Part]:
    """Make parts of model folders with ONNX files, as convert --to onnx writes them; models share a tokenizer.

    Args:
        folders: the folder of each.
        title: what they are called, for messages.
        is_fine_tuned: whether no input may be longer than those of the fine-tuning.

    Raises:
        VocabularyError: one has no tokenizer, or one that the page has no code for.
        OutputError: one is too large for a browser.
    """
    cutters: dict[bytes, Cutter] = {}
    parts: dict[Role, Part] = {}
    for role, folder in folders.items():
        path = folder / TOKENIZER_FILE
        if not path.is_file():
            raise VocabularyError(
                f"{title} has no tokenizer, which its page needs", "Give its vocabulary with --vocab."
            )
        data = read_small(path)
        if data not in cutters:
            cutters[data] = _cutter(data, path, role, title)
        parts[role] = _part(folder, role, title, cutters[data], is_fine_tuned)
    return parts


def encoded(value: object) -> bytes:
    """JSON for the page, as small as it can be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _cutter(data: bytes, path: Path, role: Role, title: str) -> Cutter:
    tokenizer = parse_tokenizer(data, path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if missing := [token for token in SPECIAL_TOKENS if tokenizer.token_to_id(token) is None]:
        raise VocabularyError(
            f"the tokenizer of {title} lacks {listing(missing)}", "Give the model's vocabulary with --vocab."
        )
    definition, characters = f"{role}/{TOKENIZER_FILE}", f"{role}/{_CHARACTERS_FILE}"
    files: dict[str, Path | bytes] = {definition: path, characters: encoded(written_out(tokenizer, title))}
    return Cutter(tokenizer, definition, characters, files)


def _part(folder: Path, role: Role, title: str, cutter: Cutter, is_fine_tuned: bool) -> Part:
    graph, config = _graph(folder, title), read_config(folder / CONFIG_FILE)
    model = f"{role}/{ONNX_FOLDER}/{graph.name}"
    records = {
        f"{role}/{name}": folder / name
        for name in (CONFIG_FILE, CONVERSION_FILE, PARITY_FILE)
        if (folder / name).exists()
    }
    labels = config.get("id2label", {}) if is_fine_tuned else {}
    stated = max_length_of_folder(folder) if is_fine_tuned else None
    positions = config["max_position_embeddings"]
    settings = {
        "model": model,
        "tokenizer": cutter.definition,
        "characters": cutter.characters,
        "special": {token: cutter.tokenizer.token_to_id(token) for token in SPECIAL_TOKENS},
        "positions": int(min(stated, positions)) if stated and stated > 0 else positions,
        "segment": min(next(iter(cutter.tokenizer.encode("[MASK]").type_ids), 0), config["type_vocab_size"] - 1),
        "labels": [labels[key] for key in sorted(labels, key=int)],
        "problem_type": config.get("problem_type"),
    }
    return Part({model: graph, **cutter.files, **records}, settings, cutter)


def _graph(folder: Path, title: str) -> Path:
    """The model's file; that of 8-bit weights where there are both."""
    found = [path for name in (QUANTIZED_FILE, ONNX_FILE) if (path := folder / ONNX_FOLDER / name).is_file()]
    graph = found[0]
    if graph.stat().st_size > _LARGEST or graph.with_name(f"{graph.name}_data").exists():
        raise OutputError(
            f"{title} is too large for a browser, which has room for a file of {_LARGEST / 1e9:.1f} GB",
            "Make it smaller with --quantize int8, or use demo --web.",
        )
    return graph
