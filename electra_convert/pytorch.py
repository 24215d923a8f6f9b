"""A transformers model loaded in PyTorch, with every weight accounted for; computes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from electra_convert.errors import ElectraConvertError, NamesError, SourceError, listing
from electra_convert.formats.json_objects import read_object
from electra_convert.formats.names import CONFIG_FILE
from electra_convert.frameworks import import_torch, import_transformers, quiet_transformers
from electra_convert.schemes.family import ELECTRA, Family
from electra_convert.schemes.heads import Head
from electra_convert.schemes.layouts import collapse
from electra_convert.tensors.spec import DType

Precision = Literal["float32", "float64"]


def import_class(head: Head, family: Family = ELECTRA) -> Any:  # noqa: ANN401 - a class, which mypy does not see
    """Import the class of a model, and with it PyTorch and transformers, which takes seconds."""
    return getattr(import_transformers(f"to run the {head.role}"), head.architecture(family))


def load_folder(
    folder: Path,
    head: Head,
    precision: Precision = "float32",
    ignored: Collection[str] = (),
    family: Family = ELECTRA,
) -> Any:  # noqa: ANN401 - a torch.nn.Module, which mypy does not see
    """Load a model with transformers' own from_pretrained, as any user would: in evaluation mode, on the CPU.

    It computes in the precision asked for, whatever the weights are stored in. Parameters of the folder that the
    class of the head has no place for, such as a fine-tuned head's, may be ignored. No layer is made up beside it.

    Raises:
        MissingPackageError: PyTorch or transformers is not installed.
        NamesError: transformers found a parameter of the model missing, unexpected or of another shape.
        SourceError: transformers cannot load the folder at all.
    """
    model_class = import_class(head, family)
    return _from_pretrained(str(folder), model_class, precision, ignored, folder=folder, **_no_pooler(model_class))


def load_architecture(folder: Path) -> Any:  # noqa: ANN401 - a torch.nn.Module, which mypy does not see
    """Load a model of the class that its config.json names, as load_folder does; no layer is made up beside it.

    Raises:
        SourceError: there is no config.json that names a class, or transformers has none of that name.
    """
    transformers, path = import_transformers("to load it"), folder / CONFIG_FILE
    named: Any = read_object(path).get("architectures") if path.is_file() else None
    model_class = getattr(transformers, str(named[0]), None) if isinstance(named, list) and named else None
    if model_class is None:
        raise SourceError(f"{path} names no class that transformers {transformers.__version__} has")
    return _from_pretrained(str(folder), model_class, "float32", folder=folder, **_no_pooler(model_class))


def _no_pooler(model_class: Any) -> dict[str, Any]:  # noqa: ANN401 - a class, which mypy does not see
    """What keeps a class from making up a pooler that is not stored."""
    return {"add_pooling_layer": False} if "add_pooling_layer" in signature(model_class.__init__).parameters else {}


def load_tensors(name: str, config: Mapping[str, Any], tensors: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    """Make a model of its config.json and a torch.Tensor for each parameter, which it may keep."""
    transformers, architecture = import_transformers("to load it"), config["architectures"][0]
    model_class = getattr(transformers, architecture, None)
    if model_class is None:
        raise SourceError(f"{name}: transformers {transformers.__version__} has no class {architecture}")
    made = model_class.config_class.from_dict(dict(config))
    given = {"config": made, "state_dict": dict(tensors), **_no_pooler(model_class)}
    return _from_pretrained(name, model_class, config["dtype"], **given)


def make_tensor(array: NDArray[Any], dtype: DType) -> Any:  # noqa: ANN401 - a torch.Tensor
    """A tensor that shares the memory of an array in dtype.storage, which of bfloat16 holds the bits."""
    torch = import_torch("to make tensors")
    if dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _from_pretrained(
    name: str,
    model_class: Any,  # noqa: ANN401 - a class, which mypy does not see
    dtype: str,
    ignored: Collection[str] = (),
    folder: Path | None = None,
    **given: Any,  # noqa: ANN401 - what a folder would hold
) -> Any:  # noqa: ANN401 - a torch.nn.Module
    transformers, torch = import_transformers("to load it"), import_torch("to load it")
    with quiet_transformers(transformers):
        try:
            model, info = model_class.from_pretrained(
                folder,
                dtype=getattr(torch, dtype),
                output_loading_info=True,
                local_files_only=True,
                ignore_mismatched_sizes=True,  # refused below, with their names
                **given,
            )
        except ElectraConvertError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise SourceError(f"{name}: transformers {transformers.__version__} cannot load it: {reason}") from error
    _require_all(name, model_class.__name__, info, ignored)
    return model.eval()


def _require_all(place: str, architecture: str, info: dict[str, Any], ignored: Collection[str]) -> None:
    """transformers leaves a parameter that it does not find at random values, and only reports it."""
    faults = []
    for kind in ("missing", "unexpected", "mismatched"):
        names = [name if isinstance(name, str) else name[0] for name in info[f"{kind}_keys"]]
        if names := [name for name in names if not (kind == "unexpected" and name in ignored)]:
            faults.append(f"{kind}: {listing(collapse(names))}")
    if faults or info["error_msgs"]:
        told = "; ".join([*faults, *info["error_msgs"]])
        raise NamesError(
            f"{place}: transformers does not load every weight of {architecture}: {told}",
            "It would run with random values in their place.",
        )
