"""An account of many models: each kind is made once, padded to the size of real ones, and put under many names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from electra_convert import convert
from support.fake_hub.process import FakeHub, sparse_of
from support.parity_records import write_parity

FIXTURES = Path(__file__).parent.parent.parent.parent / "fixtures"
# Rows of word embeddings, of which a tiny model becomes 55 MB large; all but the first are zeros.
ROWS = 400_000
WORDS = "electra.embeddings.word_embeddings.weight"
PAD_BYTES = 50_000_000


@dataclass(frozen=True)
class Kind:
    """One kind of repository, and what is right to say of it."""

    small: Mapping[str, bytes]
    large: Mapping[str, Any]
    expected: Mapping[str, Any] = field(default_factory=dict)

    def put(self, hub: FakeHub, name: str) -> None:
        hub.put(name, self.small)
        if self.large:
            hub.put_large(name, self.large)

    @property
    def size(self) -> int:
        return sum(map(len, self.small.values())) + sum(one["size"] for one in self.large.values())


def kinds(place: Path) -> dict[str, Kind]:
    """All kinds, by name."""
    import torch

    pair = place / "pair"
    convert(FIXTURES / "default", pair, vocab=FIXTURES / "vocab.txt")
    tiny = pair / "discriminator"
    (tiny / "conversion.json").unlink()
    state = load_file(tiny / "model.safetensors")
    rows = np.zeros((ROWS, state[WORDS].shape[1]), np.float32)
    rows[: len(state[WORDS])] = state[WORDS]
    big = {**state, WORDS: rows}
    own = {path.name: path.read_bytes() for path in tiny.iterdir() if path.suffix != ".safetensors"}
    config = {**json.loads(own["config.json"]), "vocab_size": ROWS}
    own["config.json"] = json.dumps(config).encode()
    weights = place / "model.safetensors"
    save_file(big, weights, {"format": "pt"})
    good = sparse_of(weights)
    tensors = {name: torch.from_numpy(values) for name, values in big.items()}

    def pickled(zipped: bool) -> dict[str, Any]:
        path = place / "pytorch_model.bin"
        torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
        return {"pytorch_model.bin": sparse_of(path)}

    unlimited = json.dumps({"tokenizer_class": "ElectraTokenizer", "do_lower_case": True}).encode()
    loads = {"loads": "safetensors", "models": {"discriminator": "ElectraForPreTraining"}, "action": "nothing"}
    pickle = {**loads, "loads": "torch", "action": "convert"}
    padding = {"size": PAD_BYTES, "sha256": "0" * 64, "blocks": {}}
    return {
        "good": Kind(own, {"model.safetensors": good}, loads),
        "proved": _proved(place, tiny, own, weights, good, loads),
        "sharded": _sharded(place, own, big, loads),
        "zip": Kind(own, pickled(True), pickle),
        "legacy": Kind(own, pickled(False), pickle),
        "unlimited": Kind(
            {**own, "tokenizer_config.json": unlimited}, {"model.safetensors": good}, {**loads, "action": "by hand"}
        ),
        "keras": Kind(own, {"tf_model.h5": padding}, {**loads, "loads": None, "action": "convert"}),
        "flax": Kind(own, {"flax_model.msgpack": padding}, {**loads, "loads": None, "action": "convert"}),
        "tensorflow": _tensorflow(place, weights, own),
        "finetuned": _finetuned(),
        "bert": Kind(
            {"config.json": b'{"model_type": "bert"}', "vocab.txt": own["vocab.txt"]},
            {"model.safetensors": good},
            {"action": "leave", "loads": None, "models": {}},
        ),
        "damaged": Kind(
            own, {"model.safetensors": {**good, "size": good["size"] - 1}}, {"action": "look", "models": {}}
        ),
    }


def _proved(place: Path, tiny: Path, own: Mapping[str, bytes], weights: Path, good: Any, loads: Any) -> Kind:
    folder = place / "proved"
    folder.mkdir()
    for name, content in own.items():
        (folder / name).write_bytes(content)
    (folder / "model.safetensors").symlink_to(weights)
    write_parity(folder)
    small = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".safetensors"}
    return Kind(small, {"model.safetensors": good}, {**loads, "proof": "verified"})


def _sharded(place: Path, own: Mapping[str, bytes], big: Mapping[str, Any], loads: Any) -> Kind:
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    shards = [{WORDS: big[WORDS]}, {name: value for name, value in big.items() if name != WORDS}]
    for name, tensors in zip(names, shards, strict=True):
        save_file(tensors, place / name, {"format": "pt"})
    where = {tensor: name for name, tensors in zip(names, shards, strict=True) for tensor in tensors}
    index = json.dumps({"metadata": {}, "weight_map": where}).encode()
    large = {name: sparse_of(place / name) for name in names}
    return Kind({**own, "model.safetensors.index.json": index}, large, loads)


def _tensorflow(place: Path, weights: Path, own: Mapping[str, bytes]) -> Kind:
    source = place / "source"
    source.mkdir()
    shutil.copy(weights, source)
    (source / "config.json").write_bytes(own["config.json"])
    convert(source, place / "tensorflow", to="tf", tokenizer=False)
    files = {path.name: path for path in (place / "tensorflow").iterdir()}
    small = {name: path.read_bytes() for name, path in files.items() if ".data-" not in name}
    large = {name: sparse_of(path) for name, path in files.items() if ".data-" in name}
    models = {"discriminator": "ElectraForPreTraining"}
    return Kind(small, large, {"action": "convert", "loads": None, "models": models, "containers": ["tensorflow"]})


def _finetuned() -> Kind:
    files = {path.name: path for path in (FIXTURES / "finetuned" / "mnli").iterdir() if path.is_file()}
    small = {name: path.read_bytes() for name, path in files.items() if ".data-" not in name}
    large = {name: sparse_of(path) for name, path in files.items() if ".data-" in name}
    large["old.data"] = {"size": PAD_BYTES, "sha256": "0" * 64, "blocks": {}}
    models = {"discriminator": "ElectraForSequenceClassification"}
    return Kind(small, large, {"action": "convert", "loads": None, "models": models, "fine_tuned": True})
