"""Models of any architecture that pretrain left behind: found in a folder, and run by transformers in the demo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import CorruptFileError, NamesError
from electra_convert.formats import safetensors_file
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.names import DETECTOR_FILE, DETECTOR_RECORD, TRAINING_FILE
from electra_convert.frameworks import import_torch
from electra_convert.pytorch import load_architecture
from electra_convert.schemes.mapping import Role
from electra_convert.tensors.weight import Weight
from electra_convert.tokenizer.vocabulary import read_small

if TYPE_CHECKING:
    import torch


def folders_of(source: Path) -> dict[Role, Path]:
    """The folders of such models at a source, the discriminator's first; none where it is something else.

    Raises:
        CorruptFileError: a record is damaged.
    """
    found: dict[Role, Path] = {}
    for folder in (source, source / "discriminator", source / "generator"):
        if (role := _role_of(folder)) is not None:
            found.setdefault(role, folder)
    return found


def _role_of(folder: Path) -> Role | None:
    if (folder / DETECTOR_RECORD).is_file():
        return "discriminator"
    path = folder / TRAINING_FILE
    is_any = path.is_file() and "models" in decode_object(read_small(path), str(path))
    return "generator" if is_any else None


class AnyNetwork:
    """One such model, ready to run; it computes what demo.network.Network does.

    Args:
        folder: its folder.
        role: which of the two it is.
        device: where it computes.

    Raises:
        MissingPackageError: PyTorch or transformers is not installed.
        NamesError: a file lacks a weight.
        CorruptFileError: a file is damaged, or the record is not one.
    """

    def __init__(self, folder: Path, role: Role, device: torch.device) -> None:
        self._torch = import_torch(f"to run the {role}")
        self.role: Role = role
        self.device = device
        self._model = load_architecture(folder).to(device)
        self._weights: dict[str, torch.Tensor] = dict(self._model.state_dict())
        self._steps = self._head(folder) if role == "discriminator" else []
        self.vocabulary: int = self._model.config.vocab_size
        self._segments = getattr(self._model.config, "type_vocab_size", 0) > 1

    def _head(self, folder: Path) -> list[Any]:
        path = folder / DETECTOR_RECORD
        record: Mapping[str, Any] = decode_object(read_small(path), str(path))
        steps = record.get("computes")
        if record.get("head") != "replaced_token_detection" or not isinstance(steps, list):
            raise CorruptFileError(f"{path} does not say how a discriminator's head computes")
        with safetensors_file.open_file(folder / DETECTOR_FILE) as source:
            weights = {name: self._tensor(Weight(tensor)) for name, tensor in source.tensors.items()}
        self._weights |= weights
        functions = self._torch.nn.functional
        return [_step(step, weights, functions, path) for step in steps]

    def _tensor(self, weight: Weight) -> Any:  # noqa: ANN401 - torch.Tensor
        return self._torch.from_numpy(np.array(weight.read_float32())).to(self.device)

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Its weights by their names, in their order."""
        for name in sorted(self._weights):
            yield name, np.asarray(self._weights[name].float().cpu().numpy())

    def run(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], token_type_ids: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Compute the logits, of arguments and results as Network.run has them."""
        ids, mask, types = (
            self._torch.from_numpy(array).to(self.device) for array in (input_ids, attention_mask, token_type_ids)
        )
        segments = {"token_type_ids": types} if self._segments else {}
        with self._torch.inference_mode():
            values = self._model(ids, attention_mask=mask, **segments)[0]
            for step in self._steps:
                values = step(values)
            logits = values.squeeze(-1) if self.role == "discriminator" else values
        return np.asarray(logits.float().cpu().numpy())

    def at(
        self,
        places: Sequence[int],
        input_ids: NDArray[np.int64],
        attention_mask: NDArray[np.int64],
        token_type_ids: NDArray[np.int64],
    ) -> Iterator[NDArray[np.float32]]:
        """Give the logits at some places of one sequence, all of which transformers computes."""
        yield from self.run(input_ids, attention_mask, token_type_ids)[0, list(places)]


def _step(step: Any, weights: Mapping[str, Any], functions: Any, path: Path) -> Any:  # noqa: ANN401 - of the record
    """A function of one step that a record names."""
    if isinstance(step, dict) and "linear" in step:
        try:
            weight, bias = (weights[f"{step['linear']}.{part}"] for part in ("weight", "bias"))
        except KeyError as error:
            raise NamesError(
                f"{path.with_name(DETECTOR_FILE)} lacks {error.args[0]}, which its record names"
            ) from error
        return lambda values: functions.linear(values, weight, bias)
    if step == {"activation": "gelu"}:
        return functions.gelu
    raise CorruptFileError(f"{path}: a step of its head is {step!r}, expected a linear layer or gelu")
