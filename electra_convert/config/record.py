"""conversion.json: how an output was made, so that it can be traced and undone; makes nothing itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from electra_convert.config.keys import LOCATIONS, check_keys
from electra_convert.config.resolve import Value
from electra_convert.errors import ConfigError
from electra_convert.schemes.family import ELECTRA, Family
from electra_convert.schemes.layouts import LAYOUTS
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import Checkpoint
from electra_convert.tensors.spec import TensorSpec
from electra_convert.tensors.weight import Weight
from electra_convert.version import __version__

SCHEMA = 1
# The key of provenance that tells to which folder something was added, seen from the record of what was.
ADDED_TO = "added_to"
_END = re.compile(rb',\n  "sha256": "([0-9a-f]{64})"\n\}\n\Z')


def encode_record(
    checkpoint: Checkpoint,
    layout: str | None,
    configs: Mapping[Role, Mapping[str, Value]],
    hparams: Mapping[str, Any] | None,
    notices: Sequence[str],
    entries: Sequence[tuple[Weight, TensorSpec]],
    provenance: Mapping[str, Any] | None = None,
    family: Family = ELECTRA,
    written: Mapping[str, Any] | None = None,
) -> bytes:
    """Write a conversion.json in UTF-8, a tensor a line: no times, no paths, the same bytes for the same input.

    The layout is that of the TensorFlow side; entries are what was written, and what it was read from. Provenance is
    from which files, and with which options. The family by whose names it was written is stated where it is not
    ELECTRA; written is what else should be known of the container. The last line has the SHA-256 of all that stands
    before its comma.
    """
    head = {
        "schema": SCHEMA,
        "tool": {"name": "electra_convert", "version": __version__},
        "source": {"format": checkpoint.format, "name": checkpoint.name},
        **({} if provenance is None else {"provenance": provenance}),
        "variant": layout,
        "step": checkpoint.step,
        **({"model_type": family.model_type} if family is not ELECTRA else {}),
        **({"task": task} if (task := next((model.task for model in checkpoint.models.values()), "")) else {}),
        "config": {role: described(config) for role, config in configs.items()},
        "hparams": None if hparams is None else {k: v for k, v in hparams.items() if k not in LOCATIONS},
        "notices": list(notices),
        **(written or {}),
    }
    return _encoded(head, [_tensor(weight, spec) for weight, spec in entries])


def changed_record(content: bytes, changes: Mapping[str, Any]) -> bytes:
    """A conversion.json that encode_record wrote, with some of its values put in the place of others."""
    record = json.loads(content)
    rows = record.pop("tensors")
    del record["sha256"]
    return _encoded({**record, **changes}, rows)


def _encoded(head: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = json.dumps(head, indent=2, ensure_ascii=False)
    lines = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in rows)
    above = f'{text[:-2]},\n  "tensors": [\n{lines}\n  ]'.encode("utf-8", "backslashreplace")
    return above + f',\n  "sha256": "{sha256(above).hexdigest()}"\n}}\n'.encode()


def is_as_written(record: bytes) -> bool:
    """Whether the last line of a conversion.json is of the lines above it: whether nothing slipped since.

    >>> is_as_written(b'{"schema": 1}')
    False
    """
    end = _END.search(record)
    return end is not None and sha256(record[: end.start()]).hexdigest().encode() == end[1]


def described(config: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    """A configuration as JSON: each value with its origin."""
    return {key: {"value": value.value, "origin": value.origin} for key, value in config.items()}


def _tensor(weight: Weight, spec: TensorSpec) -> dict[str, Any]:
    tensor = weight.tensor
    checksum = {} if tensor.checksum is None else {"crc32c": f"{tensor.checksum:08x}"}
    return {"source": tensor.name, "dtype": tensor.dtype.name, **checksum, "output": spec.name}


def recorded_dtypes(record: Mapping[str, Any] | None) -> dict[str, str]:
    """The dtype of each tensor in the source of a recorded conversion, by the tensor's name in its output."""
    rows = (record or {}).get("tensors")
    return {
        row["output"]: row["dtype"]
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and isinstance(row.get("output"), str) and isinstance(row.get("dtype"), str)
    }


def recorded_layout(record: Mapping[str, Any] | None) -> str | None:
    """The layout that the source of a recorded conversion had, or None where none is recorded."""
    name = (record or {}).get("variant")
    return name if isinstance(name, str) and name in LAYOUTS else None


def recorded_hparams(record: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The hparams of the run that a recorded conversion started from, or None where none are recorded.

    Raises:
        ConfigError: they are not hparams.
    """
    hparams = (record or {}).get("hparams")
    if hparams is None:
        return None
    if not isinstance(hparams, dict):
        raise ConfigError("conversion.json: hparams is not an object", "Remove the file, or restore it.")
    check_keys(hparams, "hparams of conversion.json")
    return hparams
