"""Results put into words and JSON for the command line; decides and computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from electra_convert.cli.printing import as_text, table, wrapped
from electra_convert.config.record import described
from electra_convert.errors import counted

if TYPE_CHECKING:
    from electra_convert.config.resolve import Value
    from electra_convert.conversion.convert import Conversion
    from electra_convert.conversion.inspect import Inspection
    from electra_convert.pretraining.run import Pretraining


def conversion_fields(result: Conversion) -> dict[str, Any]:
    """What `convert --json` prints."""
    return {
        "source": str(result.source),
        "output": str(result.output),
        "format": result.format,
        "to": result.to,
        "variant": result.layout,
        "step": result.step,
        "models": {
            role: {"config": described(config), "parameters": result.parameters[role]}
            for role, config in result.models.items()
        },
        "files": result.files,
        "notices": result.notices,
        "warnings": result.warnings,
        "dry_run": result.dry_run,
    }


def inspection_fields(result: Inspection) -> dict[str, Any]:
    """What `inspect --json` prints."""
    fields = {
        "source": str(result.source),
        "format": result.format,
        "variant": result.layout,
        "step": result.step,
        "slots": result.slots,
        "models": {
            role: {
                "architecture": model.architecture,
                "config": described(model.config),
                "parameters": model.parameters,
            }
            for role, model in result.models.items()
        },
        "unmapped": result.unmapped,
        "warnings": result.warnings,
    }
    return fields if result.checked is None else {**fields, "checked_bytes": result.checked}


def conversion_text(result: Conversion) -> str:
    """What `convert` prints."""
    verb = "Would write" if result.dry_run else "Wrote"
    lines = [_headline(result.format, result.layout, result.step)]
    for role, config in result.models.items():
        lines += wrapped(_model_line(role, result.parameters[role], config))
    files = [(f"{size:,}", name) for name, size in result.files.items()]
    return as_text([*lines, f"{verb} {result.output}", *table(files)])


def _model_line(name: str, parameters: int, config: Mapping[str, Value]) -> str:
    """What a model is, with the origin of what its weights do not tell."""
    layers, width = (config[key].value for key in ("num_hidden_layers", "hidden_size"))
    heads, activation = config["num_attention_heads"], config["hidden_act"]
    return (
        f"{name}: {parameters:,} parameters, {counted(layers, 'layer')} of width {width}, "
        f"{counted(heads.value, 'head')} ({heads.origin}), {activation.value} ({activation.origin})"
    )


def inspection_text(result: Inspection) -> str:
    """What `inspect` prints."""
    lines = [str(result.source), _headline(result.format, result.layout, result.step)]
    lines.append(f"Optimiser slots: {result.slots}.")
    for role, model in result.models.items():
        lines += ["", f"{role}: {model.architecture}, {model.parameters:,} parameters", *_config_lines(model.config)]
    if result.unmapped:
        lines += ["", "Not part of any model this tool knows:", *(f"  {name}" for name in result.unmapped)]
    if result.checked is not None:
        # safetensors files hold no checksums.
        sound = "every checksum that the files hold is right, and every weight is finite"
        lines += ["", f"Checked: {result.checked:,} bytes read; {sound}."]
    return as_text(lines)


def pretraining_fields(result: Pretraining) -> dict[str, Any]:
    """What `pretrain --json` prints."""
    return {
        "output": str(result.output),
        "model": str(result.model),
        "tensorflow": None if result.tensorflow is None else str(result.tensorflow),
        "step": result.step,
        "metrics": result.metrics,
        "notices": result.notes,
        "warnings": result.warnings,
    }


def pretraining_text(result: Pretraining) -> str:
    """What `pretrain` prints."""
    lines = [
        f"Trained to step {result.step}.",
        *table([(f"{value:.4f}", name) for name, value in result.metrics.items()]),
    ]
    written = [
        (f"{_size(path):,}", f"{path.name}/" if path.is_dir() else path.name)
        for path in sorted(result.output.iterdir())
    ]
    lines += ["", f"Wrote {result.model}"]
    lines += [] if result.tensorflow is None else [f"Wrote {result.tensorflow}"]
    return as_text([*lines, f"All of {result.output}, the run's folder:", *table(written)])


def _size(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    return sum(one.stat().st_size for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())


def _headline(container: str, layout: str | None, step: int | None) -> str:
    parts = [container, f"{layout} layout" if layout else None, None if step is None else f"step {step:,}"]
    return "Source: " + ", ".join(part for part in parts if part) + "."


def _config_lines(config: Mapping[str, Value]) -> list[str]:
    return table([(key, str(value.value), f"({value.origin})") for key, value in config.items()])
