"""Models of any architecture in training as folders that transformers loads, and back; makes and trains nothing.

The generator is written as its ForMaskedLM, the discriminator as its encoder with the head in a file beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from electra_convert.conversion.plan import Container, OutputPlan, merged
from electra_convert.errors import NamesError, listing
from electra_convert.formats import safetensors_file
from electra_convert.formats.names import (
    CONFIG_FILE,
    CONVERSION_FILE,
    DETECTOR_FILE,
    DETECTOR_RECORD,
    OPTIMIZER_FILE,
    SAFETENSORS_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    VOCABULARY_FILE,
)
from electra_convert.pretraining.architectures import Discriminator, config_of, positions_of, takes_segments
from electra_convert.pretraining.corpus.vocabulary import Pieces, WordPieces
from electra_convert.pretraining.optimizer import moments_of
from electra_convert.schemes.heads.replaced_token_detection import REPLACED_TOKEN_DETECTION
from electra_convert.schemes.mapping import Role
from electra_convert.tensors.spec import DTYPES, Sink, Tensor, TensorSpec, stream_bytes
from electra_convert.tensors.weight import Weight
from electra_convert.tokenizer.encode import encode_tokenizer, encode_tokenizer_config
from electra_convert.tokenizer.saved import SavedTokenizer

Values = Mapping[str, torch.Tensor]
# transformers looks for it before it loads a file.
_METADATA = {"format": "pt"}
# How a discriminator's head computes, as the demo reads it.
_COMPUTES = (
    {"linear": "dense"},
    {"activation": "gelu"},
    {"linear": "dense_prediction"},
)


def plan_folders(
    networks: Mapping[Role, nn.Module], optimizer: torch.optim.AdamW, pieces: Pieces, length: int
) -> OutputPlan:
    """Lay out a folder of each model, with the optimiser's moments.

    Args:
        networks: the models, as architectures.make_pair makes them.
        optimizer: of all their parameters.
        pieces: the vocabulary.
        length: the longest input, where the models themselves have no bound.
    """
    segments = takes_segments(networks)
    plans: dict[str, OutputPlan] = {}
    for role, network in networks.items():
        boxes = [_container(name, values) for name, values in files_of(network).items()]
        boxes.append(_container(OPTIMIZER_FILE, _slots(network, optimizer)))
        files = _tokenizer_files(pieces, positions_of(network) or length, segments)
        # training.json takes the place of the one that is empty here.
        files |= {CONFIG_FILE: _config(network), CONVERSION_FILE: b""}
        if isinstance(network, Discriminator):
            files[DETECTOR_RECORD] = _detector_record(network)
        plans[role] = OutputPlan(tuple(boxes), files, ())
    return merged(plans)


def files_of(network: Any) -> dict[str, Values]:  # noqa: ANN401 - torch.nn.Module
    """The tensors of a model by file and name; one that has several names has that which transformers writes."""
    if isinstance(network, Discriminator):
        return {SAFETENSORS_FILE: _named(network.encoder), DETECTOR_FILE: _named(network.head)}
    return {SAFETENSORS_FILE: _named(network)}


def _named(module: nn.Module) -> Values:
    repeated = getattr(module, "_tied_weights_keys", None) or {}
    state = module.state_dict(keep_vars=True)
    owned = {id(tensor) for name, tensor in state.items() if name not in repeated}
    return {
        name: tensor
        for name, tensor in state.items()
        if tensor.is_floating_point() and (name not in repeated or id(tensor) not in owned)
    }


def _slots(network: nn.Module, optimizer: torch.optim.AdamW) -> Values:
    return {
        f"{_inside(file, name)}.{slot}": moment
        for file, values in files_of(network).items()
        for name, tensor in values.items()
        if isinstance(tensor, nn.Parameter)
        for slot, moment in moments_of(optimizer, tensor).items()
    }


def _inside(file: str, name: str) -> str:
    """What the optimiser's file calls a tensor: a head's might be called as one of the encoder's is."""
    return f"{REPLACED_TOKEN_DETECTION.name}.{name}" if file == DETECTOR_FILE else name


def _container(file: str, values: Values) -> Container:
    entries = [
        (Weight(_tensor(name, value)), TensorSpec(name, DTYPES["float32"], tuple(value.shape)))
        for name, value in sorted(values.items())
    ]
    size = sum(spec.nbytes for _, spec in entries)
    return Container("", {file: size}, entries, partial(_open, file))


def _open(file: str, folder: Path, specs: Sequence[TensorSpec]) -> Sink:
    return safetensors_file.open_sink(folder / file, specs, _METADATA)


def _tensor(name: str, values: torch.Tensor) -> Tensor:
    array = np.ascontiguousarray(values.detach().float().cpu().numpy())
    return Tensor(name, DTYPES["float32"], array.shape, partial(stream_bytes, array.reshape(-1).view(np.uint8).data))


def _config(network: Any) -> bytes:  # noqa: ANN401 - torch.nn.Module
    model = network.encoder if isinstance(network, Discriminator) else network
    fields = json.loads(config_of(network).to_json_string(use_diff=True))
    fields |= {"architectures": [type(model).__name__], "dtype": "float32"}
    return (json.dumps(fields, indent=2, sort_keys=True) + "\n").encode()


def _detector_record(network: Discriminator) -> bytes:
    record = {
        "schema": 1,
        "head": REPLACED_TOKEN_DETECTION.name,
        "encoder": type(network.encoder).__name__,
        "weights": DETECTOR_FILE,
        "input": "the encoder's last hidden state of every token",
        "computes": list(_COMPUTES),
        "output": "a logit for every token, positive where it looks replaced",
    }
    return (json.dumps(record, indent=2) + "\n").encode()


def _tokenizer_files(pieces: Pieces, length: int, segments: bool) -> dict[str, bytes]:
    files = _files_of(pieces, length)
    config = json.loads(files[TOKENIZER_CONFIG_FILE])
    inputs = config.get("model_input_names", [])
    if segments or "token_type_ids" not in inputs:
        return files
    config["model_input_names"] = [name for name in inputs if name != "token_type_ids"]
    return {**files, TOKENIZER_CONFIG_FILE: (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()}


def _files_of(pieces: Pieces, length: int) -> dict[str, bytes]:
    if isinstance(pieces, SavedTokenizer):
        return pieces.with_max_length(length)
    assert isinstance(pieces, WordPieces)  # there are no others
    return {
        VOCABULARY_FILE: pieces.vocabulary.raw,
        TOKENIZER_FILE: encode_tokenizer(pieces.vocabulary, pieces.settings),
        TOKENIZER_CONFIG_FILE: encode_tokenizer_config(pieces.vocabulary, pieces.settings, length),
    }


def restore(folder: Path, networks: Mapping[Role, nn.Module], optimizer: torch.optim.AdamW) -> None:
    """Fill models and the moments of their optimiser from what plan_folders laid out.

    Raises:
        NamesError: a file has other tensors than the models.
        CorruptFileError: a file is damaged.
    """
    for role, network in networks.items():
        files = {**files_of(network), OPTIMIZER_FILE: _slots(network, optimizer)}
        for file, values in files.items():
            _fill(folder / role / file, values)


def _fill(path: Path, values: Values) -> None:
    source = safetensors_file.open_source(path)
    try:
        shapes = {name: tensor.shape for name, tensor in source.tensors.items()}
        wanted = {name: tuple(tensor.shape) for name, tensor in values.items()}
        if differing := sorted(name for name in {*shapes, *wanted} if shapes.get(name) != wanted.get(name)):
            raise NamesError(f"{path} has other tensors than the models: {listing(differing)}")
        with torch.no_grad():
            for name, tensor in values.items():
                tensor.copy_(torch.from_numpy(np.array(Weight(source.tensors[name]).read_float32())))
    finally:
        source.close()
