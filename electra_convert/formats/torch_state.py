"""What a loaded torch file holds: a state dict, or a training state with one within; loads nothing, runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Self

from electra_convert.errors import SourceError, listing

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

# With what the archives begin that torch.save has made since torch 1.6.
ZIP_MAGIC = b"PK\x03\x04"
WEIGHTS_ONLY = "In the program that made it, save the weights alone: torch.save(model.state_dict(), path)."
# Under what programs keep the weights in a training state, those that say so the more plainly first.
_WEIGHTS_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "module", "net")
_TRAINING_KEYS = frozenset((*_WEIGHTS_KEYS, "epoch", "global_step", "optimizer"))
# A training state within a training state is no program's; a hostile file may nest without end.
_DEEPEST = 3


class _Inert:
    """Stands where an object of a harmless class was pickled: takes whatever it is given, and keeps none of it."""

    def __new__(cls, *_: object, **__: object) -> Self:
        return object.__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


# Classes that lie in no weights and do nothing, each stood for by one of its name, by which torch.load knows it:
# fastai's Learner.save puts its own list into the state of the optimiser (fastcore/foundation.py).
_INERT = (type("L", (_Inert,), {"__module__": "fastcore.foundation"}),)


@contextmanager
def inert_classes(torch: ModuleType) -> Iterator[None]:
    """Have torch.load, which runs no code of a file, pass over objects of harmless classes, not refuse them."""
    if not hasattr(torch.serialization, "safe_globals"):  # before torch 2.5: they are refused like any other
        yield
        return
    with torch.serialization.safe_globals(list(_INERT)):
        yield


@dataclass(frozen=True)
class State:
    """Tensors by name, and what is said of where they were found."""

    tensors: Mapping[str, TorchTensor]
    notices: tuple[str, ...] = ()


def find_state(torch: ModuleType, path: Path, loaded: object) -> State:
    """Find the state dict in what was loaded: all of it, or one within, or several that are parts of one.

    Raises:
        SourceError: there is none, or nothing tells which of several it is.
    """
    if not isinstance(loaded, dict):
        raise SourceError(f"{path} holds an object of type {type(loaded).__name__}, not a state dict", WEIGHTS_ONLY)
    if _is_state(torch, loaded):
        return State(loaded)
    tensors, place = _within(torch, loaded, 0)
    if not tensors:
        raise _no_state(torch, path, loaded)
    left = [repr(key) for key in loaded if key not in {part.partition(".")[0] for part in place}]
    notice = f"Read, of a training state, the weights under {listing(map(repr, place))}"
    return State(tensors, (f"{notice}; left out: {listing(left)}." if left else f"{notice}.",))


def _within(
    torch: ModuleType, loaded: Mapping[object, object], depth: int
) -> tuple[dict[str, TorchTensor], list[str]]:
    """The tensors of the state dicts in a dict, and under which keys they lie."""
    inner = {key: value for key, value in loaded.items() if isinstance(value, dict) and is_name(key)}
    named = next((key for key in _WEIGHTS_KEYS if key in inner), None)
    if named is not None:
        if _is_state(torch, inner[named]):
            return dict(inner[named]), [named]
        found, place = _within(torch, inner[named], depth + 1) if depth < _DEEPEST else ({}, [])
        return found, [f"{named}.{key}" for key in place]
    states = {str(key): value for key, value in inner.items() if value and _is_state(torch, value)}
    joined = {f"{key}.{name}": tensor for key, state in states.items() for name, tensor in state.items()}
    return joined, list(states)


def _is_state(torch: ModuleType, value: Mapping[object, object]) -> bool:
    return all(is_name(key) and isinstance(tensor, torch.Tensor) for key, tensor in value.items())


def is_name(key: object) -> bool:
    """Whether a key can be the name of a tensor: a text, and one that can be written down."""
    return isinstance(key, str) and not re.search("[\ud800-\udfff]", key)


def _no_state(torch: ModuleType, path: Path, loaded: Mapping[object, object]) -> SourceError:
    others = [key for key, value in loaded.items() if not (is_name(key) and isinstance(value, torch.Tensor))]
    kind = "a training state" if _TRAINING_KEYS & loaded.keys() else "a dict"
    found = listing(map(repr, others))
    return SourceError(f"{path} holds {kind}, not a state dict: no tensors under {found}", WEIGHTS_ONLY)


def refuse_code(path: Path, name: str) -> SourceError:
    """The error about a file that cannot be loaded without a function or class of that name."""
    hint, last = WEIGHTS_ONLY, name.rpartition(".")[2]
    if last[:1].isupper():
        hint = (
            f"If it is a whole model, pickled with its class {last}: where that class is installed, "
            f"model = torch.load({path.name!r}, weights_only=False), then torch.save(model.state_dict(), path)."
        )
    return SourceError(f"{path} holds more than tensors: to load it would mean to run code, {name}", hint)
