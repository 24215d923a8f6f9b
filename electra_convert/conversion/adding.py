"""ONNX models added to a model folder that is there already: to which they may be, and how; changes no file of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint, Model, open_path
from electra_convert.config.record import ADDED_TO
from electra_convert.config.resolve import Value
from electra_convert.config.sources import Findings, gather
from electra_convert.conversion.layout_transformers import plan_transformers
from electra_convert.conversion.measuring import Measured
from electra_convert.conversion.options import Options
from electra_convert.conversion.plan import Container, write_containers
from electra_convert.conversion.recorded_options import option_fields
from electra_convert.errors import ElectraConvertError, OutputError
from electra_convert.formats.names import CONVERSION_FILE, ONNX_FOLDER
from electra_convert.output import check_replaceable, new_folder, write_file
from electra_convert.provenance import find_files, place_fields
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import require_tied
from electra_convert.tensors.transfer import Progress
from electra_convert.tensors.weight import same_bits

# What of a configuration decides what the same weights compute.
_COMPUTING = ("num_attention_heads", "hidden_act", "layer_norm_eps")


@dataclass(frozen=True)
class Addition:
    """What is added to the folder of one model: a folder with ONNX models, and a conversion.json of their own.

    That of the model, and with it whatever was proved of its files, stays as it is.

    Attributes:
        model: the model that is there.
        values: its configuration.
        containers: the models.
        record: the conversion.json.
    """

    model: Model
    values: Mapping[str, Value]
    containers: tuple[Container, ...]
    record: bytes

    @property
    def place(self) -> Path:
        """The folder that is added."""
        return self.model.folder / ONNX_FOLDER


def models_there(stack: ExitStack, output: Path, roles: Collection[Role]) -> dict[Role, Checkpoint]:
    """The transformers models of these roles in an output that is there already; none where it lacks one of them."""
    if not output.is_dir():
        return {}
    try:
        found = stack.enter_context(open_path(output))
        if found.scheme.loads != "transformers" or not set(roles) <= found.models.keys():
            return {}
        # Each opened in its own folder, so that its record is the same in a pair and alone.
        return {role: stack.enter_context(open_path(found.models[role].folder)) for role in roles}
    except ElectraConvertError:
        return {}


def plan_additions(
    checkpoint: Checkpoint, findings: Findings, there: Mapping[Role, Checkpoint], options: Options
) -> list[Addition]:
    """Lay out the ONNX models of what is there, which must be what was to be converted.

    Raises:
        OutputError: it is another model, or has ONNX models already.
    """
    deciding = _of_additions(options)
    planned = []
    for role, place in there.items():
        own, model = gather(place, roles=(role,)), place.models[role]
        values = own.configs[role].values
        require_tied(place.path, model)
        _require_same(checkpoint.models[role], findings.configs[role].values, model, values)
        provenance = partial(_provenance, place, role, deciding)
        plan = plan_transformers(place, own, (role,), "onnx", deciding, (), provenance)
        planned.append(Addition(model, values, plan.containers, plan.files[CONVERSION_FILE]))
        check_replaceable(planned[-1].place, options.overwrite)
    return planned


def _of_additions(options: Options) -> Options:
    """The options that are about what is added; any others are about what the model was made of."""
    return Options(
        to="onnx",
        tokenizer=options.tokenizer,
        labels=options.labels,
        dtype=options.dtype,
        quantize=options.quantize,
        allow_nonfinite=options.allow_nonfinite,
    )


def _provenance(place: Checkpoint, role: Role, options: Options) -> dict[str, Any]:
    """What the record says of the model around it, and of the options.

    The model's own record is not among the files: what of it decides stands in this one, and where the model came
    from, and which version made it, does not.
    """
    files = [file for file in find_files(place, place.models[role].folder, None) if file.name != CONVERSION_FILE]
    return {ADDED_TO: "..", **place_fields(None, files), "options": option_fields(options, place, (role,))}


def add(planned: Sequence[Addition], options: Options, progress: Progress | None) -> tuple[dict[Path, int], Measured]:
    """Write what was laid out: every folder whole, and none of them before all are written; nothing in a dry run.

    Returns:
        The size in bytes of every file, by its place, in a dry run of its tensors; and what was measured of int8.

    Raises:
        OutputError: the output could not be written.
        ElectraConvertError: as write of plan.py.
    """
    measured = Measured({}, [])
    sizes = {one.place / name: size for one in planned for box in one.containers for name, size in box.files.items()}
    if options.dry_run:
        return sizes, measured
    with ExitStack() as stack:
        places = [stack.enter_context(new_folder(one.place, options.overwrite)) for one in planned]
        boxes = [(box, place) for one, place in zip(planned, places, strict=True) for box in one.containers]
        write_containers(boxes, not options.allow_nonfinite, progress)
        for one, place in zip(planned, places, strict=True):
            write_file(place / CONVERSION_FILE, one.record)
            if options.quantize:
                measured.measure(one.model.role, one.model, place, one.model.folder, place / CONVERSION_FILE, options)
            sizes |= {one.place / path.name: path.stat().st_size for path in sorted(place.iterdir())}
    return sizes, measured


def _require_same(source: Model, stated: Mapping[str, Value], there: Model, values: Mapping[str, Value]) -> None:
    if source.folder.resolve() == there.folder.resolve() and source.weights.keys() == there.weights.keys():
        names = []
    else:
        names = sorted(source.weights.keys() ^ there.weights.keys())
        names += [name for name in source.weights if name in there.weights and not _same(source, there, name)]
    keys = [f"its {key} is {values[key].value!r}" for key in _COMPUTING if stated[key].value != values[key].value]
    if different := [*keys, *names]:
        raise OutputError(
            f"{there.folder} holds another model than {source.folder}: {different[0]}",
            "ONNX models are added to the folder of the same model; or give a new name, for a folder of their own.",
        )


def _same(source: Model, there: Model, name: str) -> bool:
    return same_bits(source.weights[name], there.weights[name])
