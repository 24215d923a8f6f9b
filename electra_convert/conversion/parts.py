"""What of a source gets a folder of its own, which models go into it, and how each is laid out; writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint, open_path
from electra_convert.config.sources import Findings, electric_notice, gather
from electra_convert.conversion.carried import beside_pair, left_behind
from electra_convert.conversion.layout_tensorflow import head_notices, plan_tensorflow
from electra_convert.conversion.layout_transformers import plan_transformers
from electra_convert.conversion.options import Options, Selection, Target
from electra_convert.conversion.plan import OutputPlan
from electra_convert.conversion.recorded_options import option_fields
from electra_convert.errors import NamesError, OutputError
from electra_convert.hub.download import Origin
from electra_convert.provenance import find_files, place_fields
from electra_convert.schemes.bert import as_bert
from electra_convert.schemes.family import BERT
from electra_convert.schemes.layouts import Choice
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import require_tied, slot_state


def separate_parts(stack: ExitStack, source: Path, checkpoint: Checkpoint, options: Options) -> dict[str, Checkpoint]:
    """What is laid out in folders of their own: one checkpoint in the output itself, or of several tasks one each."""
    tasks = () if options.task is not None else checkpoint.separate_tasks
    parts = {"": checkpoint}
    if tasks:
        parts = {
            name: stack.enter_context(open_path(source, None, Choice(name, among=tasks), options.exclude))
            for name in tasks
        }
    if options.family is not BERT:
        return parts
    asked = None if options.model is None else choose_roles(checkpoint, options.model)
    return {name: as_bert(part, asked) for name, part in parts.items()}


def plan_part(
    checkpoint: Checkpoint, source: Path, origin: Origin | None, target: Target, options: Options
) -> tuple[OutputPlan, Findings, tuple[Role, ...]]:
    """Lay out one part: what is to be written, what was found of its configuration, and its models.

    Raises:
        ElectraConvertError: it cannot be converted as it is asked for.
    """
    roles = choose_roles(checkpoint, options.model)
    findings = gather(checkpoint, options.hparams, options.config, roles)
    for role in roles:
        require_tied(checkpoint.path, checkpoint.models[role])
    provenance = cache(partial(_provenance, checkpoint, source, origin, roles, options))
    return _plan(checkpoint, findings, roles, target, options, provenance), findings, roles


def _provenance(
    checkpoint: Checkpoint, source: Path, origin: Origin | None, roles: tuple[Role, ...], options: Options
) -> dict[str, Any]:
    """What conversion.json says of the files that were read, and of the options."""
    code, other, whence = options.keep_custom_code, options.generator, options.generator_origin
    fields = place_fields(origin, find_files(checkpoint, source, origin, code, other))
    if other is not None:
        fields["generator"] = place_fields(whence, find_files(checkpoint, other, whence, code, source))
    return {**fields, "options": option_fields(options, checkpoint, roles)}


def choose_roles(checkpoint: Checkpoint, selection: Selection | None) -> tuple[Role, ...]:
    """Choose the models to write, the discriminator first; every one there is unless one is asked for.

    Raises:
        NamesError: a model that was asked for is not there, or has no counterpart in transformers.
    """
    present = tuple(checkpoint.models)
    wanted: tuple[Role, ...] = present
    if selection is not None:
        wanted = ("discriminator", "generator") if selection == "both" else (selection,)
    for role in wanted:
        if role not in checkpoint.models:
            raise _absent(checkpoint, role)
    return wanted


def _absent(checkpoint: Checkpoint, role: Role) -> NamesError:
    told = f"{checkpoint.path} holds no {role} that can be converted"
    if role == "generator" and checkpoint.layout and checkpoint.layout.name == "two_tower_generator":
        told += f": its generator is {checkpoint.layout.foreign_is}"
    there = next(iter(checkpoint.models))
    return NamesError(told, f"The {there} converts: --model {there}.")


def _plan(
    checkpoint: Checkpoint,
    findings: Findings,
    roles: tuple[Role, ...],
    target: Target,
    options: Options,
    provenance: Callable[[], Mapping[str, Any]],
) -> OutputPlan:
    slots = slot_state(checkpoint.models[role] for role in roles)
    _require_slots(checkpoint, slots, target, options)
    notices = [
        *checkpoint.notices,
        *electric_notice(checkpoint, findings),
        *_slot_notices(checkpoint, slots, target, options),
        *beside_pair(checkpoint),
    ]
    if target == "tf":
        notices += head_notices(checkpoint, roles)
        notices += [line for role in roles for line in left_behind(checkpoint, checkpoint.models[role])]
        return plan_tensorflow(checkpoint, findings, roles, options, notices, provenance)
    return plan_transformers(checkpoint, findings, roles, target, options, notices, provenance)


def _require_slots(checkpoint: Checkpoint, slots: str, target: Target, options: Options) -> None:
    if options.optimizer and slots == "none":
        instead = ", or start the optimiser anew with --zero-optimizer" if target == "tf" else ""
        raise OutputError(
            f"{checkpoint.path} has no optimiser slots for --optimizer to carry over",
            f"Leave --optimizer out{instead}.",
        )


def _slot_notices(checkpoint: Checkpoint, slots: str, target: Target, options: Options) -> list[str]:
    told = []
    if options.optimizer and slots == "partial":
        told.append("Some variables have no optimiser slots; only those that are there are written.")
    if options.optimizer and checkpoint.step_tensor is None:
        told.append(f"The source holds no global_step; {checkpoint.step or 0} is written.")
    if options.zero_optimizer and slots != "none":
        told.append("Optimiser slots are replaced by zeros (--optimizer would carry them over).")
    elif not options.optimizer and slots != "none":
        told.append(f"Optimiser slots are left out{'' if target == 'onnx' else ' (--optimizer carries them over)'}.")
    return told
