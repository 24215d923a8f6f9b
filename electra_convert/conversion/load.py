"""Models of any source in memory: state dicts and transformers models as convert writes them; writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, overload

import numpy as np
from numpy.typing import NDArray

from electra_convert.checkpoint import Checkpoint, open_path
from electra_convert.config.hparams import hparams_text
from electra_convert.config.sources import electric_notice, gather
from electra_convert.conversion.layout_transformers import plan_transformers, weight_entries
from electra_convert.conversion.options import Options, read_path
from electra_convert.conversion.parts import choose_roles
from electra_convert.errors import UsageError, arguments_for_options, warn_caller
from electra_convert.frameworks import import_ml_dtypes, import_torch, import_transformers
from electra_convert.hub.download import as_source, local_source
from electra_convert.pytorch import load_tensors, make_tensor
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import naming, require_tied
from electra_convert.tensors.cast import require_finite
from electra_convert.tensors.spec import DType, TensorSpec
from electra_convert.tensors.weight import Weight

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Values = TypeVar("Values")
Framework = Literal["numpy", "torch"]


@overload
def load_state_dict(
    source: str | Path,
    role: Role = "discriminator",
    *,
    framework: Literal["numpy"] = "numpy",
    generator: str | Path | None = None,
    allow_nonfinite: bool = False,
    revision: str | None = None,
    token: str | None = None,
    subfolder: str | None = None,
) -> dict[str, NDArray[Any]]: ...


@overload
def load_state_dict(
    source: str | Path,
    role: Role = "discriminator",
    *,
    framework: Literal["torch"],
    generator: str | Path | None = None,
    allow_nonfinite: bool = False,
    revision: str | None = None,
    token: str | None = None,
    subfolder: str | None = None,
) -> dict[str, torch.Tensor]: ...


@arguments_for_options(model="role")
def load_state_dict(
    source: str | Path,
    role: Role = "discriminator",
    *,
    framework: Framework = "numpy",
    generator: str | Path | None = None,
    allow_nonfinite: bool = False,
    revision: str | None = None,
    token: str | None = None,
    subfolder: str | None = None,
) -> dict[str, NDArray[Any]] | dict[str, torch.Tensor]:
    """Read the weights of a model, whatever it is stored in, as arrays or tensors by transformers' names.

    They are what convert writes: every weight of the model, bit for bit, in transformers' orientation. Optimiser
    slots are left out, and so is a repeated table: a generator's output table is its word embeddings.

    >>> weights = load_state_dict("fixtures/default", "generator")
    >>> weights["electra.embeddings.word_embeddings.weight"].shape, weights["generator_lm_head.bias"].dtype
    ((1500, 32), dtype('float32'))

    Args:
        source: anything that convert takes.
        role: which model of it.
        framework: numpy for arrays, torch for tensors on the CPU. numpy has no bfloat16 of its own: such arrays are
            of ml_dtypes.bfloat16.
        generator: the generator that goes with a source that is a discriminator alone.
        allow_nonfinite: read NaN and infinite weights rather than refuse them.
        revision: of a source on the Hub: a branch, a tag or a commit, in place of @REVISION in its address.
        token: of a source on the Hub: the account's, by default what huggingface_hub finds.
        subfolder: of a source on the Hub: the folder within the repository.

    Returns:
        The weights, sorted by name, in the dtypes they are stored in. An encoder alone has the names of ElectraModel,
        without the electra. prefix.

    Raises:
        ElectraConvertError: there is no such model, a tensor is missing or unknown, or the source is damaged.
        MissingPackageError: PyTorch, or ml_dtypes for arrays of bfloat16, is not installed.
    """
    if framework not in get_args(Framework):
        raise UsageError(f"framework is {framework!r}, expected numpy or torch")
    if framework == "torch":
        import_torch("to make tensors")
    with _open_role(as_source(source, revision, token, subfolder), role, generator, token) as checkpoint:
        entries = weight_entries(checkpoint.models[role], Options())
        if framework == "torch":
            return _read(checkpoint, entries, allow_nonfinite, make_tensor)
        return _read(checkpoint, entries, allow_nonfinite, _array)


@arguments_for_options(model="role")
def load_model(
    source: str | Path,
    role: Role = "discriminator",
    *,
    generator: str | Path | None = None,
    hparams: Mapping[str, Any] | str | Path | None = None,
    config: str | Path | None = None,
    allow_nonfinite: bool = False,
    revision: str | None = None,
    token: str | None = None,
    subfolder: str | None = None,
) -> PreTrainedModel:
    """Load a model into transformers, whatever it is stored in; nothing is written, and no weight is left random.

    >>> model = load_model("fixtures/default")
    >>> type(model).__name__, model.config.num_attention_heads, model.training
    ('ElectraForPreTraining', 2, False)

    Args:
        source: anything that convert takes.
        role: which model of it.
        generator: the generator that goes with a source that is a discriminator alone.
        hparams: what run_pretraining.py was given: a mapping, JSON, or the name of a file that holds it.
        config: a transformers config.json, to settle the head count and the activation.
        allow_nonfinite: load NaN and infinite weights rather than refuse them.
        revision: of a source on the Hub: a branch, a tag or a commit, in place of @REVISION in its address.
        token: of a source on the Hub: the account's, by default what huggingface_hub finds.
        subfolder: of a source on the Hub: the folder within the repository.

    Returns:
        The model that from_pretrained would load from what convert writes: ElectraForPreTraining,
        ElectraForMaskedLM, ElectraModel, or the class with a fine-tuned head that its config.json names; in the dtype
        of its weights, in evaluation mode, on the CPU.

    Raises:
        ElectraConvertError: there is no such model, transformers cannot compute it as its source does, a weight is
            missing or unknown, or the source is damaged.
        MissingPackageError: PyTorch or transformers is not installed.

    Warns:
        ElectraWarning: a value of the configuration was guessed or put aside.
    """
    import_transformers("to load a model")
    settled = read_path("config", config)
    with _open_role(as_source(source, revision, token, subfolder), role, generator, token) as checkpoint:
        findings = gather(checkpoint, hparams_text(hparams), settled, (role,))
        plan = plan_transformers(checkpoint, findings, (role,), "safetensors", Options(), ())
        tensors = _read(checkpoint, plan.containers[0].entries, allow_nonfinite, make_tensor)
    electric = electric_notice(checkpoint, findings) if role == "discriminator" else []
    for line in (*findings.warnings, *electric):
        warn_caller(line)
    return load_tensors(str(source), json.loads(plan.files["config.json"]), tensors)


@contextmanager
def _open_role(
    source: str | Path, role: Role, generator: str | Path | None, token: str | None
) -> Iterator[Checkpoint]:
    """Open a source that has a model of a role, and nothing that is unaccounted for."""
    if role not in get_args(Role):
        raise UsageError(f"role is {role!r}, expected {' or '.join(get_args(Role))}")
    other = None if generator is None else local_source(generator, token=token)
    with open_path(local_source(source, token=token), other) as checkpoint:
        checkpoint.require_mapped()
        choose_roles(checkpoint, role)
        require_tied(checkpoint.path, checkpoint.models[role])
        yield checkpoint


def _read(
    checkpoint: Checkpoint,
    entries: Sequence[tuple[Weight, TensorSpec]],
    allow_nonfinite: bool,
    make: Callable[[NDArray[Any], DType], Values],
) -> dict[str, Values]:
    """Every weight by its name, made of an array in dtype.storage and the dtype of its elements."""
    made = {}
    with naming(checkpoint.path):
        for weight, spec in entries:
            array = weight.read()
            if not allow_nonfinite:
                require_finite(array.reshape(-1).view(np.uint8).data, weight.tensor)
            made[spec.name] = make(array, spec.dtype)
    return made


def _array(array: NDArray[Any], dtype: DType) -> NDArray[Any]:
    if dtype.name != "bfloat16":
        return array.view(dtype.name)
    return array.view(import_ml_dtypes("to make arrays of bfloat16").bfloat16)
