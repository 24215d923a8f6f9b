"""What the files of a model, and of what lies beside it, are called, and what each is by its name; opens none."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal

# TensorFlow's: what a prefix is completed with, and what saves keep beside it.
BUNDLE_INDEX = ".index"
METAGRAPH = ".meta"
STATE_FILE = "checkpoint"
SAVED_MODEL_FILE = "saved_model.pb"
HPARAMS_FILE = "hparams.json"
# What a run of NVIDIA's TensorFlow 2 pretraining was told.
RUN_FILE = "pretrain_config.json"

# transformers': weights in one file, or in shards with an index after whose name they are called.
SAFETENSORS_FILE = "model.safetensors"
TORCH_FILE = "pytorch_model.bin"
KERAS_FILE = "tf_model.h5"
FLAX_FILE = "flax_model.msgpack"
SHARD_INDEX = ".index.json"
CONFIG_FILE = "config.json"
# peft's, which lies beside weights that it is not part of.
ADAPTER_FILE = "adapter_config.json"

# The tokenizer's.
VOCABULARY_FILE = "vocab.txt"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"

# What this tool itself lays beside a model's weights.
OPTIMIZER_FILE = "optimizer.safetensors"
# Variables of a head that transformers has no place for.
BESIDE_FILE = "answerable_head.safetensors"
# A discriminator's head beside an encoder of any architecture, and how it computes.
DETECTOR_FILE = "replaced_token_detection.safetensors"
DETECTOR_RECORD = "replaced_token_detection.json"
CONVERSION_FILE = "conversion.json"
# What pretrain writes in its place; layout, step and hparams stand in it under the same keys.
TRAINING_FILE = "training.json"
PARITY_FILE = "parity.json"
CARD_FILE = "README.md"

# ONNX', where transformers.js and optimum look for it: the folder within a model's, and the file in it.
ONNX_FOLDER = "onnx"
ONNX_FILE = "model.onnx"
QUANTIZED_FILE = "model_quantized.onnx"
ONNX_SUFFIX = ".onnx"

Kind = Literal["tokenizer", "settings", "code", "weights", "other"]

# SentencePiece's models, by whatever name transformers' tokenizers and their users give them.
SENTENCEPIECE = re.compile(r"(.*(spiece|sentencepiece|spm|bpe|unigram|tokenizer).*\.model|.*\.spm)", re.IGNORECASE)
_TOKENIZER = re.compile(
    rf"{SENTENCEPIECE.pattern}|.*(spiece|sentencepiece|spm).*\.vocab|vocab\.(json|bpe)|merges\.txt|bpe\.codes|dict\.txt"
    r"|chat_template\.jinja|"
    + "|".join(
        map(
            re.escape,
            (VOCABULARY_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, SPECIAL_TOKENS_FILE, ADDED_TOKENS_FILE),
        )
    ),
    re.IGNORECASE,
)
_WEIGHTS = re.compile(
    r".*\.(bin|pt|pth|ckpt|h5|keras|msgpack|ot|onnx|onnx_data|tflite|safetensors|pkl|pickle|joblib|np[yz]|gguf|pdparams|index|meta)"
    rf"|.*\.data-\d{{5}}-of-\d{{5}}|.*{re.escape(SHARD_INDEX)}",
    re.IGNORECASE,
)
# What trainers save beside the weights of a model under the endings of torch's files.
_OF_TRAINING = re.compile(r"(optimi[sz]er|opt|scheduler|scaler|training_args)\b.*|(rng_state|random_states).*")
# Of the model's folder alone: what is written anew, and what is about the files as they lie there.
_OWN = frozenset({CONFIG_FILE, CONVERSION_FILE, PARITY_FILE, TRAINING_FILE, ADAPTER_FILE})
# What sentence-transformers calls the folders of its modules: 1_Pooling.
_MODULE = re.compile(r"\d+_\w+")
MODULES_FILE = "modules.json"
# The largest tokenizer.json takes 10 MB; settings are some kilobytes.
_LARGEST: dict[Kind, int] = {"tokenizer": 1 << 26, "settings": 1 << 20}


def kind_of(name: str) -> Kind:
    """What a file is of, by its path in a model's folder: settings are all JSON that is of nothing else."""
    last = PurePosixPath(name).name
    if _WEIGHTS.fullmatch(last):
        return "weights"
    if _TOKENIZER.fullmatch(last):
        return "tokenizer"
    if last.endswith(".py"):
        return "code"
    return "settings" if last.lower().endswith(".json") and name not in _OWN else "other"


def is_found(name: str) -> bool:
    """Whether from_pretrained of transformers 5 looks for weights under a file's name."""
    return name.removesuffix(SHARD_INDEX) in {SAFETENSORS_FILE, TORCH_FILE}


def is_ones_own(name: str) -> bool:
    """Whether a file, by its name, may hold a model that a program of one's own saved with torch or flax."""
    return name.endswith((".pt", ".pth", ".ckpt", ".msgpack")) and not _OF_TRAINING.fullmatch(name)


def limit_of(kind: Kind) -> int:
    """The size in bytes up to which a file is carried from one folder to another unread: 0 for what never is."""
    return _LARGEST.get(kind, 0)


def is_module(folder: str) -> bool:
    """Whether a folder, beside a modules.json, is of one of sentence-transformers' modules."""
    return _MODULE.fullmatch(folder) is not None
