"""Small made-up ELECTRA checkpoints of every layout that google-research/electra writes; computes no model.

The names and shapes are those of the graphs that run_pretraining.py and run_finetuning.py build, written out here a
second time so that the package's own table is checked against something it did not produce.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count, islice, product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 1000

# From a tensor's name below its scope to its dimensions: attributes of Sizes, or numbers.
Table = Mapping[str, tuple[str | int, ...]]


@dataclass(frozen=True)
class Sizes:
    """The sizes of a discriminator, and its generator's as fractions of them."""

    vocabulary: int = 53
    embedding: int = 8
    hidden: int = 16
    layers: int = 2
    heads: int = 2
    intermediate: int = 64
    positions: int = 12
    types: int = 2
    activation: str = "gelu"
    generator_hidden_size: float = 0.5
    generator_layers: float = 1.0

    @property
    def two_hidden(self) -> int:
        """The width of two hidden states side by side."""
        return 2 * self.hidden


# A generator has hidden // 64 heads, at least 1; only the full-size one here has more.
SIZES: Mapping[str, Sizes] = {
    "projected": Sizes(),
    "projected_generator": Sizes(embedding=16, generator_hidden_size=0.25),
    "embeddings_wider_than_hidden": Sizes(embedding=24, heads=4, generator_hidden_size=1.0),
    "one_width": Sizes(embedding=16, generator_hidden_size=1.0),
    "full_size_generator": Sizes(embedding=32, hidden=128, heads=4, intermediate=300, generator_hidden_size=1.0),
    # 15 * 0.3 and 5 * 0.5 end in a half, which Python rounds to even.
    "odd": Sizes(61, 6, 15, 5, 5, 22, 19, 3, generator_hidden_size=0.3, generator_layers=0.5),
    "one_layer": Sizes(layers=1, heads=1, generator_hidden_size=1.0),
    "deep": Sizes(layers=12, generator_layers=0.95),
    "relu": Sizes(activation="relu"),
    "tanh": Sizes(activation="tanh"),
    "linear": Sizes(activation="linear"),
}


def _dense(name: str, inputs: str | int, outputs: str | int) -> Table:
    return {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}


def _norm(name: str, width: str) -> Table:
    return {f"{name}/LayerNorm/beta": (width,), f"{name}/LayerNorm/gamma": (width,)}


def _token_head(name: str, inputs: str) -> Table:
    dense = _dense(f"{name}/dense", inputs, "embedding")
    return {**dense, **_norm(name, "embedding"), f"{name}/output_bias": ("vocabulary",)}


EMBEDDINGS: Table = {
    "embeddings/word_embeddings": ("vocabulary", "embedding"),
    "embeddings/token_type_embeddings": ("types", "embedding"),
    "embeddings/position_embeddings": ("positions", "embedding"),
    **_norm("embeddings", "embedding"),
}
PROJECTION: Table = _dense("embeddings_project", "embedding", "hidden")
LAYER: Table = {
    **_dense("attention/self/query", "hidden", "hidden"),
    **_dense("attention/self/key", "hidden", "hidden"),
    **_dense("attention/self/value", "hidden", "hidden"),
    **_dense("attention/output/dense", "hidden", "hidden"),
    **_norm("attention/output", "hidden"),
    **_dense("intermediate/dense", "hidden", "intermediate"),
    **_dense("output/dense", "intermediate", "hidden"),
    **_norm("output", "hidden"),
}
DISCRIMINATOR_HEAD: Table = {
    **_dense("discriminator_predictions/dense", "hidden", "hidden"),
    **_dense("discriminator_predictions/dense_1", "hidden", 1),
}
GENERATOR_HEAD: Table = _token_head("generator_predictions", "hidden")
CLOZE_HEAD: Table = _token_head("cloze_predictions", "two_hidden")
# classification_tasks.py (three labels) and qa_tasks.py (joint prediction, answerable classifier).
TASK_HEADS: Table = {
    **_dense("task_specific/mnli/dense", "hidden", 3),
    **_dense("task_specific/squad/dense", "hidden", 1),
    **_dense("task_specific/squad/qa_hidden", "two_hidden", 512),
    **_dense("task_specific/squad/dense_1", 512, 1),
    **_dense("task_specific/squad/dense_2", "two_hidden", 512),
    **_dense("task_specific/squad/dense_3", 512, 1),
}


@dataclass(frozen=True)
class Variant:
    """A layout: scopes and heads, each with the model whose sizes it has, and the hparams that ask for it."""

    embeddings: Mapping[str, str]
    encoders: Mapping[str, str]
    heads: tuple[tuple[Table, str], ...]
    hparams: Mapping[str, Any]


# configure_pretraining.PretrainingConfig's defaults.
PRETRAINING: Mapping[str, bool] = {
    "electra_objective": True,
    "electric_objective": False,
    "uniform_generator": False,
    "two_tower_generator": False,
    "untied_generator": True,
    "untied_generator_embeddings": False,
}
# The objectives exclude each other; electric_objective alone has a discriminator too.
ELECTRIC = {"electra_objective": False, "electric_objective": True, "two_tower_generator": True}

_ELECTRA = {"electra": "discriminator"}
_GENERATOR = {"generator": "generator"}
_TOWERS = {"generator_ltr": "generator", "generator_rtl": "generator"}
_DETECTS = (DISCRIMINATOR_HEAD, "discriminator")
_FILLS = (GENERATOR_HEAD, "generator")
_CLOZE = (CLOZE_HEAD, "generator")

VARIANTS: Mapping[str, Variant] = {
    "default": Variant(_ELECTRA, _ELECTRA | _GENERATOR, (_DETECTS, _FILLS), {}),
    "untied_generator_embeddings": Variant(
        _ELECTRA | _GENERATOR, _ELECTRA | _GENERATOR, (_DETECTS, _FILLS), {"untied_generator_embeddings": True}
    ),
    "tied_generator": Variant(_ELECTRA, _ELECTRA, (_DETECTS, _FILLS), {"untied_generator": False}),
    "masked_lm": Variant(_ELECTRA, _ELECTRA, (_FILLS,), {"electra_objective": False}),
    "uniform_generator": Variant(_ELECTRA, _ELECTRA, (_DETECTS,), {"uniform_generator": True}),
    "two_tower_generator": Variant(_ELECTRA, _ELECTRA | _TOWERS, (_DETECTS, _CLOZE), ELECTRIC),
    "two_tower_untied_embeddings": Variant(
        _ELECTRA | _TOWERS, _ELECTRA | _TOWERS, (_DETECTS, _CLOZE), ELECTRIC | {"untied_generator_embeddings": True}
    ),
    "fine_tuned": Variant(_ELECTRA, _ELECTRA, ((TASK_HEADS, "discriminator"),), {"task_names": ["mnli", "squad"]}),
}


def sizes_of(variant: str, role: str, sizes: Sizes) -> Sizes:
    """One model's own sizes, as run_pretraining.py has them (get_generator_config and where it is called)."""
    settings = {**PRETRAINING, **VARIANTS[variant].hparams}
    objective = settings["electra_objective"] or settings["electric_objective"]
    if role == "discriminator" or not (objective and settings["untied_generator"]):
        return sizes
    hidden = round(sizes.hidden * sizes.generator_hidden_size)
    return replace(
        sizes,
        embedding=hidden if settings["untied_generator_embeddings"] else sizes.embedding,
        hidden=hidden,
        layers=round(sizes.layers * sizes.generator_layers),
        heads=max(1, hidden // 64),
        intermediate=4 * hidden,
    )


def shapes(variant: str, sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """The trainable variables of a layout, by name."""
    layout = VARIANTS[variant]
    own = {role: sizes_of(variant, role, sizes) for role in ("discriminator", "generator")}
    listed: dict[str, tuple[int, ...]] = {}
    for scope, role in layout.embeddings.items():
        listed |= _resolve(EMBEDDINGS, f"{scope}/", own[role])
    for scope, role in layout.encoders.items():
        if own[role].embedding != own[role].hidden:
            listed |= _resolve(PROJECTION, f"{scope}/", own[role])
        for layer in range(own[role].layers):
            listed |= _resolve(LAYER, f"{scope}/encoder/layer_{layer}/", own[role])
    for table, role in layout.heads:
        listed |= _resolve(table, "", own[role])
    return listed


def _resolve(table: Table, scope: str, sizes: Sizes) -> dict[str, tuple[int, ...]]:
    return {
        scope + name: tuple(size if isinstance(size, int) else getattr(sizes, size) for size in dimensions)
        for name, dimensions in table.items()
    }


def variables(variant: str, sizes: Sizes, slots: bool = True, seed: int = 0) -> dict[str, NDArray[np.generic]]:
    """The arrays of a checkpoint, which keep activations near 1; each follows from its name, shape and seed."""
    weights = shapes(variant, sizes)
    suffixes = ("", "/adam_m", "/adam_v") if slots else ("",)
    made: dict[str, NDArray[np.generic]] = {
        name + suffix: _draw(name + suffix, shape, seed) for name, shape in weights.items() for suffix in suffixes
    }
    return made | ({"global_step": np.array(STEP, np.int64)} if slots else {})


def _draw(name: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    normal = np.random.default_rng([seed, zlib.crc32(name.encode())]).standard_normal(shape)
    match name.rpartition("/")[2]:
        case "kernel":
            values = normal / np.sqrt(shape[0])
        case "word_embeddings" | "token_type_embeddings" | "position_embeddings":
            values = normal / np.sqrt(shape[1])
        case "gamma":
            values = 1.0 + 0.1 * normal
        case "adam_m":
            values = 1e-2 * normal
        case "adam_v":
            values = 1e-4 * np.square(normal) + 1e-8
        case _:
            values = 0.2 * normal
    return values.astype(np.float32)


def hparams(variant: str, sizes: Sizes) -> dict[str, Any]:
    """What Google's script is given to write it: keys of configure_pretraining.py, or of configure_finetuning.py."""
    described: dict[str, Any] = {
        "model_size": "small",
        "model_hparam_overrides": {
            "hidden_size": sizes.hidden,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "intermediate_size": sizes.intermediate,
            "max_position_embeddings": sizes.positions,
            "type_vocab_size": sizes.types,
            "hidden_act": sizes.activation,
        },
        "embedding_size": sizes.embedding,
        "vocab_size": sizes.vocabulary,
        "max_seq_length": sizes.positions,
    }
    if variant != "fine_tuned":
        generator = {key: getattr(sizes, key) for key in ("generator_hidden_size", "generator_layers")}
        described |= {**generator, **PRETRAINING}
    return {**described, **VARIANTS[variant].hparams}


def inputs(sizes: Sizes, seed: int = 0) -> dict[str, NDArray[np.int32]]:
    """Three full rows of ids from the whole vocabulary and five padded ones, each array [8, positions]."""
    rng = np.random.default_rng([seed, zlib.crc32(b"inputs")])
    columns = np.arange(sizes.positions)
    lengths = np.r_[[sizes.positions] * 3, rng.integers(1, sizes.positions, 5)][:, None]
    mask = columns < lengths
    ids = rng.integers(0, sizes.vocabulary, mask.shape)
    ids[0, :2] = 0, sizes.vocabulary - 1
    segments = columns * sizes.types // lengths
    return {
        "input_ids": (ids * mask).astype(np.int32),
        "input_mask": mask.astype(np.int32),
        "segment_ids": (segments * mask).astype(np.int32),
    }


def pieces(sizes: Sizes) -> list[str]:
    """A lower-case vocabulary of exactly as many WordPieces, the special ones first."""
    words = ("".join(letters) for length in count(1) for letters in product(ascii_lowercase, repeat=length))
    ordinary = (piece for word in words for piece in (word, f"##{word}"))
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *islice(ordinary, sizes.vocabulary - 5)]


def write_with_tensorflow(prefix: Path, tensors: Mapping[str, NDArray[np.generic]]) -> None:
    """Write a checkpoint with the operation that tf.train.Saver uses."""
    import tensorflow as tf

    names = sorted(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(tensors[name]) for name in names],
    )


def write_folder(folder: Path, variant: str, sizes: Sizes, slots: bool = True, seed: int = 0) -> Path:
    """Write what a run leaves behind, and a vocabulary; the result is the checkpoint's prefix."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = folder / f"model.ckpt-{STEP}"
    write_with_tensorflow(prefix, variables(variant, sizes, slots, seed))
    state = f'model_checkpoint_path: "{prefix.name}"\nall_model_checkpoint_paths: "{prefix.name}"\n'
    (folder / "checkpoint").write_text(state)
    (folder / "hparams.json").write_text(json.dumps(hparams(variant, sizes), indent=1))
    (folder / "vocab.txt").write_text("\n".join(pieces(sizes)) + "\n")
    return prefix
