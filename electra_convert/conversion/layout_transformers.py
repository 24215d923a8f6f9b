"""transformers model folders laid out: names, shapes and dtypes, configuration and record; writes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint, Model
from electra_convert.config.labels import Labels, find_labels, made_up_labels
from electra_convert.config.record import encode_record, recorded_hparams, recorded_layout
from electra_convert.config.resolve import Value, plain
from electra_convert.config.sources import Findings
from electra_convert.config.transformers import encode_config
from electra_convert.conversion.carried import carry
from electra_convert.conversion.layout_onnx import onnx_record, plan_onnx
from electra_convert.conversion.options import Options, Target
from electra_convert.conversion.plan import Container, OutputPlan, merged
from electra_convert.errors import ConfigError
from electra_convert.formats import safetensors_file
from electra_convert.formats.names import (
    BESIDE_FILE,
    CONFIG_FILE,
    CONVERSION_FILE,
    OPTIMIZER_FILE,
    QUANTIZED_FILE,
    SAFETENSORS_FILE,
    SHARD_INDEX,
    TOKENIZER_CONFIG_FILE,
    TORCH_FILE,
)
from electra_convert.formats.shards import plan_shards
from electra_convert.schemes.family import ELECTRA, Family
from electra_convert.schemes.heads import of_class
from electra_convert.schemes.mapping import STEP_NAME, Role
from electra_convert.schemes.models import step_constant
from electra_convert.schemes.transformers import file_name
from electra_convert.tensors.cast import WEIGHT_DTYPES
from electra_convert.tensors.spec import DTYPES, DType, Sink, TensorSpec
from electra_convert.tensors.weight import Weight
from electra_convert.tokenizer.of_checkpoint import tokenizer_files

_FILES: Mapping[Target, str] = {"safetensors": SAFETENSORS_FILE, "torch": TORCH_FILE}
_METADATA = {"format": "pt"}
Entries = list[tuple[Weight, TensorSpec]]


def plan_transformers(
    checkpoint: Checkpoint,
    findings: Findings,
    roles: Sequence[Role],
    target: Target,
    options: Options,
    notices: Sequence[str],
    provenance: Callable[[], Mapping[str, Any]] | None = None,
) -> OutputPlan:
    """Lay out one model in the output itself, or a pair of them in folders of their own.

    Provenance gives what the records are to say of files and options.

    Raises:
        ConfigError: transformers cannot compute a model as Google's code does.
        VocabularyError: the vocabulary does not belong to a model.
    """
    return merged(
        {
            role if len(roles) > 1 else "": _plan_folder(
                checkpoint, findings, role, target, options, notices, provenance
            )
            for role in roles
        }
    )


def _plan_folder(
    checkpoint: Checkpoint,
    findings: Findings,
    role: Role,
    target: Target,
    options: Options,
    notices: Sequence[str],
    provenance: Callable[[], Mapping[str, Any]] | None,
) -> OutputPlan:
    model = checkpoint.models[role]
    _check_computable(checkpoint, findings, role, options.family)
    boxes = _containers(checkpoint, model, findings, target, options)
    tokens = tokenizer_files(checkpoint, model, findings.hparams, options.tokenizer)
    carried = carry(checkpoint, model, tokens, findings.bases.get(role, {}), options)
    base = carried.config
    labels = _labels(checkpoint, model, findings, options)
    values = {**findings.configs[role].values, "pad_token_id": _pad(base, tokens.pad, options)}
    values |= _head_values(model, labels)
    notices = [
        *notices,
        *_head_notices(model, target, options),
        *carried.notices,
        *tokens.notices,
        *tokens.findings.notices,
    ]
    warnings = (*tokens.findings.warnings, *([labels.warning] if labels and labels.warning else []))
    record = encode_record(
        checkpoint,
        checkpoint.layout.name if checkpoint.layout else recorded_layout(checkpoint.record),
        {role: {**values, **tokens.settings}},
        findings.hparams.given if findings.hparams else recorded_hparams(checkpoint.record),
        [*notices, *findings.warnings, *warnings],
        [entry for box in boxes for entry in box.entries if QUANTIZED_FILE not in box.files],
        provenance and provenance(),
        options.family,
        onnx_record(options) if target == "onnx" else None,
    )
    dtype = _common_dtype(boxes[0].entries)
    named = architecture(model, findings, options.family)
    config = encode_config(named, plain(values), dtype, base, model.is_tied, options.family)
    small = _of_family({**tokens.files, **carried.files}, checkpoint.scheme.family, options.family)
    small |= {CONFIG_FILE: config, CONVERSION_FILE: record}
    return OutputPlan(tuple(boxes), small, tuple(notices), warnings)


def _containers(
    checkpoint: Checkpoint, model: Model, findings: Findings, target: Target, options: Options
) -> list[Container]:
    """What holds a model's tensors: its weights first."""
    if target == "onnx":
        return plan_onnx(model, findings.configs[model.role].values, options)
    weights = weight_entries(model, options)
    files = _weight_files(weights, target, options)
    boxes = [Container("", files, weights, partial(_open_weights, target, options.max_shard_size))]
    if options.optimizer:
        slots = _slots(model, checkpoint)
        files = {OPTIMIZER_FILE: sum(spec.nbytes for _, spec in slots)}
        boxes.append(Container("", files, slots, _open_optimizer))
    if model.beside:
        boxes.append(_beside(model))
    return boxes


def _labels(checkpoint: Checkpoint, model: Model, findings: Findings, options: Options) -> Labels | None:
    """What the classes of a head from Google's code are called; a transformers model's are in its config.json."""
    if not model.sizes.labels or (model.role in findings.bases and options.labels is None):
        return None
    if checkpoint.scheme.described and options.labels is None:
        return made_up_labels(model.sizes.labels)
    return find_labels(checkpoint.folder, model.task, model.head, model.sizes.labels, options.labels)


def _head_values(model: Model, labels: Labels | None) -> dict[str, Value]:
    problem = model.head.problem_type if labels else None
    return {**(labels.values if labels else {}), **({"problem_type": Value(problem, "head")} if problem else {})}


def _head_notices(model: Model, target: Target, options: Options) -> list[str]:
    """What a reader should know of a head that came from Google's code."""
    told = []
    if model.beside:
        done = "Left out" if target == "onnx" else f"Kept in {BESIDE_FILE}"
        told.append(
            f"{done}, since {model.head.architecture()} has no place for it: "
            f"{model.head.beside_is} ({', '.join(model.beside)})."
        )
    if model.task and model.head.algebra is not None:
        told.append(model.head.algebra.remark(model.sizes.labels, model.sizes.hidden))
        if options.optimizer:
            told.append(f"Left out, optimiser slots of the head of {model.task}: transformers' has other parameters.")
    return told


def _of_family(files: Mapping[str, bytes], read: Family, written: Family) -> dict[str, bytes]:
    """A tokenizer's files, with the class of the family that is written where the class of another stands."""
    settings = files.get(TOKENIZER_CONFIG_FILE)
    known = (ELECTRA if written is not ELECTRA else read).tokenizer_class
    if settings is None or known == written.tokenizer_class:
        return dict(files)
    named = re.compile(rb'("tokenizer_class"\s*:\s*")%s((?:Fast)?")' % known.encode())
    return {**files, TOKENIZER_CONFIG_FILE: named.sub(rb"\g<1>%s\g<2>" % written.tokenizer_class.encode(), settings)}


def _check_computable(checkpoint: Checkpoint, findings: Findings, role: Role, family: Family) -> None:
    activation = findings.configs[role].values["hidden_act"]
    if role != "generator" or activation.value == "gelu":
        return
    told, with_gelu = f"the generator's hidden_act is {activation.value} ({activation.origin})", family is ELECTRA
    if checkpoint.scheme.gelu_in_generators != with_gelu:
        raise ConfigError(
            f"{told}; transformers computes the generator's head with gelu whatever the configuration says"
            f"{'' if with_gelu else ', and that of BERT with hidden_act'}",
            "The discriminator converts: --model discriminator.",
        )


def architecture(model: Model, findings: Findings, family: Family = ELECTRA) -> str:
    """The class that config.json names, unless that has another head; without one it is named by its head."""
    named = findings.bases.get(model.role, {}).get("architectures")
    if family is not ELECTRA or model.head.is_bare or not isinstance(named, list) or not named:
        return model.head.architecture(family)
    known = of_class(str(named[0]))
    fits = known is None or model.head.unmapped or known.parameters == model.head.parameters
    return str(named[0]) if fits else model.head.architecture()


def _pad(base: Mapping[str, Any], found: int | None, options: Options) -> Value:
    """A transformers model keeps its padding, unless it is given another vocabulary."""
    if "pad_token_id" in base and (found is None or options.tokenizer.vocab is None):
        return Value(base["pad_token_id"], CONFIG_FILE)
    return Value(0, "transformers' default") if found is None else Value(found, "vocabulary")


def weight_entries(model: Model, options: Options) -> Entries:
    """What a model's weights are called and rounded to in its folder, sorted by name."""
    named = {file_name(model, name, options.family): weight for name, weight in model.weights.items()}
    return [
        (weight, TensorSpec(name, _rounded(weight.tensor.dtype, options), weight.shape))
        for name, weight in sorted(named.items())
    ]


def _rounded(dtype: DType, options: Options) -> DType:
    return DTYPES[options.dtype] if options.dtype and dtype.name in WEIGHT_DTYPES else dtype


def _weight_files(weights: Entries, target: Target, options: Options) -> dict[str, int]:
    shards = plan_shards([spec for _, spec in weights], options.max_shard_size, _FILES[target])
    files = {name: sum(spec.nbytes for spec in specs) for name, specs in shards.items()}
    return files if len(files) == 1 else {**files, f"{_FILES[target]}{SHARD_INDEX}": 0}


def _slots(model: Model, checkpoint: Checkpoint) -> Entries:
    entries = [
        (slot, TensorSpec(file_name(model, name), slot.tensor.dtype, slot.shape))
        for name, slot in sorted(model.slots.items())
    ]
    step = checkpoint.step_tensor or step_constant(checkpoint.step or 0)
    return [*entries, (Weight(step), TensorSpec(STEP_NAME, step.dtype, ()))]


def _common_dtype(entries: Sequence[tuple[Weight, TensorSpec]]) -> str:
    dtypes = {spec.dtype.name for _, spec in entries if spec.dtype.kind == "float"}
    if len(dtypes) == 1:
        return dtypes.pop()
    return "float64" if "float64" in dtypes else "float32"  # from_pretrained rounds all of them to it


def _open_weights(target: Target, max_bytes: int | None, folder: Path, specs: Sequence[TensorSpec]) -> Sink:
    if target == "torch":
        from electra_convert.formats import torch_file

        return torch_file.open_folder_sink(folder, specs, max_bytes)
    return safetensors_file.open_folder_sink(folder, specs, max_bytes)


def _beside(model: Model) -> Container:
    kept = [(weight, TensorSpec(name, weight.tensor.dtype, weight.shape)) for name, weight in model.beside.items()]
    return Container("", {BESIDE_FILE: sum(spec.nbytes for _, spec in kept)}, kept, _open_beside)


def _open_beside(folder: Path, specs: Sequence[TensorSpec]) -> Sink:
    return safetensors_file.open_sink(folder / BESIDE_FILE, specs, {})


def _open_optimizer(folder: Path, specs: Sequence[TensorSpec]) -> Sink:
    return safetensors_file.open_sink(folder / OPTIMIZER_FILE, specs, _METADATA)
