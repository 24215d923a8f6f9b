"""convert: a source read, an output laid out and written; every decision about either is made elsewhere.

Named apart from the function, which is electra_convert.convert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint, open_checkpoint
from electra_convert.config.resolve import Value
from electra_convert.config.sources import Findings, electric_notice, gather
from electra_convert.conversion.layout_tensorflow import plan_tensorflow
from electra_convert.conversion.layout_transformers import plan_transformers
from electra_convert.conversion.options import Options, Target, make_options
from electra_convert.conversion.plan import OutputPlan, Progress, write
from electra_convert.errors import NamesError, OutputError, ParityError
from electra_convert.hub.download import as_source, local_source
from electra_convert.output import check_target
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import naming, require_tied, slot_state


@dataclass(frozen=True)
class Conversion:
    """What a conversion made, or would make.

    Attributes:
        source: what was pointed at.
        output: the folder that was made.
        format: the container that was read.
        to: the container that was written.
        layout: the layout of a TensorFlow source, or None.
        step: the global step, or None where it is not known.
        models: the configuration of each model written, each value with its origin.
        parameters: the number of weights of each model written.
        files: the size in bytes of every file, by path within the output; for a dry run, of containers the bytes of
            their tensors alone, without headers and indices.
        notices: what was left out or changed, and why.
        warnings: what was guessed or put aside.
        dry_run: whether nothing was written.
    """

    source: str | Path
    output: Path
    format: str
    to: Target
    layout: str | None
    step: int | None
    models: Mapping[Role, Mapping[str, Value]]
    parameters: Mapping[Role, int]
    files: Mapping[str, int]
    notices: tuple[str, ...]
    warnings: tuple[str, ...]
    dry_run: bool


def convert(
    source: str | Path,
    output: str | Path,
    progress: Progress | None = None,
    **options: Any,  # noqa: ANN401
) -> Conversion:
    """Convert an ELECTRA checkpoint.

    Args:
        source: a TensorFlow checkpoint (folder, prefix or any of its files), a transformers model or pair of them;
            or where such is on the Hub: hf://OWNER/REPO[@REVISION][/PATH].
        output: the folder to make; a pair of models gets a folder each within it.
        progress: told how many bytes of how many have been read, from several threads.
        options: the fields of options.Options, such as model="discriminator" or to="torch"; paths may be text,
            hparams a dictionary, and max_shard_size text such as "2GB".

    Returns:
        What was made.

    Raises:
        ElectraConvertError: nothing has been written; the message says why.
    """
    if options.get("generator") is not None:
        options["generator"] = local_source(options["generator"])
    return run_conversion(as_source(source), Path(output), make_options(options), progress)


def run_conversion(
    pointed_at: str | Path, output: Path, options: Options, progress: Progress | None = None
) -> Conversion:
    """Convert an ELECTRA checkpoint, with the options already in one place.

    Args:
        pointed_at: what to read: a path, or hf://OWNER/REPO[@REVISION].
        output: the folder to make.
        options: what was asked for.
        progress: told how many bytes of how many have been read, from several threads.

    Returns:
        What was made.

    Raises:
        ElectraConvertError: nothing has been written; the message says why.
    """
    source = local_source(pointed_at)
    with open_checkpoint(source, options.generator) as checkpoint:
        target: Target = options.to or checkpoint.scheme.target
        options.check(target)
        read = [opened.path for opened in checkpoint.sources]
        check_target(output, source, options.overwrite, [*read, *options.inputs])
        checkpoint.require_mapped()
        roles = choose_roles(checkpoint, options)
        findings = gather(checkpoint, options.hparams, options.config, roles)
        for role in roles:
            require_tied(checkpoint.path, checkpoint.models[role])
        plan = _plan(checkpoint, findings, roles, target, options)
        files = plan.sizes
        if not options.dry_run:
            with naming(source):
                inspect = partial(_verify, pointed_at, output, options) if options.verify else lambda _: None
                files = write(plan, output, options.overwrite, not options.allow_nonfinite, progress, inspect)
        return Conversion(
            source=pointed_at,
            output=output,
            format=checkpoint.format,
            to=target,
            layout=checkpoint.layout.name if checkpoint.layout else None,
            step=checkpoint.step,
            models={role: findings.configs[role].values for role in roles},
            parameters={role: checkpoint.models[role].parameters for role in roles},
            files=files,
            notices=plan.notices,
            warnings=findings.warnings,
            dry_run=options.dry_run,
        )


def _verify(source: str | Path, output: Path, options: Options, folder: Path) -> None:
    """Refuse what was written unless it is the same model as the source, and keep the report in it."""
    from electra_convert.verification.checks import Checks
    from electra_convert.verification.sides import Place, find_place
    from electra_convert.verification.verify import run_verification

    reference = replace(find_place(source, options.hparams, options.config), generator=options.generator)
    report = run_verification(reference, Place(folder, output.name), Checks(), save=True)
    if report.verdict == "different":
        raise ParityError(
            f"{output} is not written, since it would not be the same model as {source}: {'; '.join(report.reasons)}",
            "Please report it, with the output of inspect; without --verify the conversion can be looked at.",
        )
    if not report.passed:
        raise ParityError(
            f"{output} is not written, since it was not shown to be the same model as {source}: "
            f"{'; '.join(report.reasons)}",
            "Without --verify it is written, and can be verified once both can be run.",
        )


def choose_roles(checkpoint: Checkpoint, options: Options) -> tuple[Role, ...]:
    """Choose the models to write.

    Args:
        checkpoint: the models there are.
        options: what was asked for.

    Returns:
        The roles, the discriminator first.

    Raises:
        NamesError: a model that was asked for is not there, or has no counterpart in transformers.
    """
    present = tuple(checkpoint.models)
    wanted: tuple[Role, ...] = present
    if options.model is not None:
        wanted = ("discriminator", "generator") if options.model == "both" else (options.model,)
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
    checkpoint: Checkpoint, findings: Findings, roles: tuple[Role, ...], target: Target, options: Options
) -> OutputPlan:
    slots = slot_state(checkpoint.models[role] for role in roles)
    _require_slots(checkpoint, slots, target, options)
    notices = [
        *checkpoint.notices,
        *electric_notice(checkpoint, findings),
        *_slot_notices(checkpoint, slots, options),
    ]
    if target == "tf":
        notices += _head_notices(checkpoint, roles)
        return plan_tensorflow(checkpoint, findings, roles, options, notices)
    return plan_transformers(checkpoint, findings, roles, target, options, notices)


def _require_slots(checkpoint: Checkpoint, slots: str, target: Target, options: Options) -> None:
    if options.optimizer and slots == "none":
        instead = ", or start the optimiser anew with --zero-optimizer" if target == "tf" else ""
        raise OutputError(
            f"{checkpoint.path} has no optimiser slots for --optimizer to carry over",
            f"Leave --optimizer out{instead}.",
        )


def _slot_notices(checkpoint: Checkpoint, slots: str, options: Options) -> list[str]:
    told = []
    if options.optimizer and slots == "partial":
        told.append("Some variables have no optimiser slots; only those that are there are written.")
    if options.optimizer and checkpoint.step_tensor is None:
        told.append(f"The source holds no global_step; {checkpoint.step or 0} is written.")
    if options.zero_optimizer and slots != "none":
        told.append("Optimiser slots are replaced by zeros (--optimizer would carry them over).")
    elif not options.optimizer and slots != "none":
        told.append("Optimiser slots are left out (--optimizer carries them over).")
    return told


def _head_notices(checkpoint: Checkpoint, roles: Sequence[Role]) -> list[str]:
    names = [name for role in roles for name in checkpoint.models[role].head.unmapped]
    return (
        [f"Left out, a fine-tuned head, which Google's code has no place for: {', '.join(names)}."] if names else []
    )
