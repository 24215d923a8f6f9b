"""The files of a model held against those of a conversion made again: which are the same, and which have to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from electra_convert.errors import listing
from electra_convert.formats.files import sha256_of_file, small_bytes
from electra_convert.formats.json_objects import decode_object
from electra_convert.formats.names import (
    ADAPTER_FILE,
    BESIDE_FILE,
    CONFIG_FILE,
    CONVERSION_FILE,
    ONNX_FOLDER,
    OPTIMIZER_FILE,
    kind_of,
)
from electra_convert.reproduction.differences import difference, differing_keys
from electra_convert.reproduction.published import Published, find_recorded, inside
from electra_convert.reproduction.recorded import Recorded, model_of
from electra_convert.version import __version__

State = Literal["identical", "equal", "different", "missing", "unexpected", "left out", "source", "not part"]
# What upload leaves here, and nothing that loads a model asks for.
_LEFT = frozenset({OPTIMIZER_FILE, BESIDE_FILE})
# Of a file that is this much longer than it should be the sizes say enough; it is not downloaded.
_MORE = 1 << 20
# What tells of a conversion and decides nothing of it; which files lay in a cache may add to the notices.
_TOLD = frozenset({"tool", "notices", "sha256"})
_FAULTS_SHOWN = 3
_ADDED = f"{ONNX_FOLDER}/{CONVERSION_FILE}"


@dataclass(frozen=True)
class FileReport:
    """What was found of a file.

    Attributes:
        state: identical; equal: a record that says the same of all that decides; different; missing, of the model;
            unexpected: not made by the conversion; left out: made by it, and nothing that has to be there; source:
            what it was made from, to the byte; not part: of no model, such as a card.
        told: how it differs, or what else is to be known of it; empty where there is nothing.
    """

    state: State
    told: str = ""

    @property
    def fails(self) -> bool:
        """Whether a model with it is not what the conversion makes."""
        return self.state in {"different", "missing", "unexpected"}

    @property
    def is_noted(self) -> bool:
        """Whether there is something to say of it all the same."""
        return bool(self.told) and not self.fails


def find_made(made: Path, recorded: Recorded) -> Path | None:
    """Find the folder of the same model in what was made again: the output itself, or one of several within it."""
    files = {path.relative_to(made).as_posix(): 0 for path in made.rglob(CONVERSION_FILE)}
    folders = (made / folder for folder in find_recorded(files))
    return next((folder for folder in folders if model_of(_record(folder)) == recorded.model), None)


def _record(folder: Path) -> dict[str, Any]:
    return decode_object(small_bytes(folder / CONVERSION_FILE), CONVERSION_FILE)


def compare_files(
    published: Published,
    folder: str,
    recorded: Recorded,
    addition: Recorded | None,
    made: Path | None,
    given: bool,
) -> dict[str, FileReport]:
    """Compare every file of a model with those of a folder that was made again.

    Args:
        folder: of the model in what was published.
        recorded: its record.
        addition: that of ONNX models which were added to it, where they were made again as well.
        made: the folder; None where the conversion makes no such model.
        given: whether the source is not the recorded one, but one that was given for it.

    Raises:
        SourceError: a file cannot be read.
        HubError: one cannot be downloaded.
    """
    if made is None:
        told = f"the conversion makes no {' and '.join(sorted(recorded.model[0])) or 'such model'}"
        return {inside(folder, CONVERSION_FILE): FileReport("different", told)}
    start = f"{folder}/" if folder else ""
    sizes = {name.removeprefix(start): size for name, size in published.sizes.items() if name.startswith(start)}
    expected = {path.relative_to(made).as_posix(): path for path in made.rglob("*") if path.is_file()}
    near = {name for name, path in expected.items() if sizes.get(name, -1) in range(2 * path.stat().st_size + _MORE)}
    here = published.bring([inside(folder, name) for name in near]) / folder
    found = {name: _compared(path, here / name, sizes.get(name), name in near) for name, path in expected.items()}
    others = [name for name in sizes if name not in expected]
    found |= {name: not_made(name) for name in others} | _of_source(published, folder, recorded, others)
    if found[CONVERSION_FILE].state == "different":
        found[CONVERSION_FILE] = _compared_records(recorded, _record(made), given)
    if addition is not None and found[_ADDED].state == "different":
        found[_ADDED] = _compared_records(addition, _record(made / ONNX_FOLDER), given=False)
    return {inside(folder, name): report for name, report in sorted(found.items())}


def _compared(made: Path, found: Path, size: int | None, is_here: bool) -> FileReport:
    if size is None:
        return _missing(made)
    if not is_here:
        return FileReport("different", f"it has {size:,} bytes, expected {made.stat().st_size:,}")
    told = difference(made, found)
    return FileReport("identical") if told is None else FileReport("different", told)


def _missing(made: Path) -> FileReport:
    kind = kind_of(made.name)
    if made.name in _LEFT or kind in {"settings", "code"}:
        return FileReport("left out", "the conversion makes it, and it is not here")
    return FileReport("missing", "the conversion makes it, and it is not here")


def _of_source(published: Published, folder: str, recorded: Recorded, names: Iterable[str]) -> dict[str, FileReport]:
    """The files from which the model was converted, where they lie beside it still, as in a repository of pickles."""
    stated = {file.name: file for file in recorded.place.files if file.sha256 is not None}
    same = [name for name in names if name in stated and published.sizes[inside(folder, name)] == stated[name].size]
    here = published.bring([inside(folder, name) for name in same]) / folder if same else Path()
    return {name: FileReport("source") for name in same if sha256_of_file(here / name) == stated[name].sha256}


def not_made(name: str) -> FileReport:
    """What is said of a file that the conversion did not make: whether something that loads a model may read it."""
    last = name.rpartition("/")[2]
    if kind_of(name) != "other" or last in {CONFIG_FILE, ADAPTER_FILE}:
        return FileReport("unexpected", "the conversion does not make it")
    return FileReport("not part")


def _compared_records(recorded: Recorded, again: Mapping[str, Any], given: bool) -> FileReport:
    """Compare records key by key: the version that made one is no more than told, as are its notices."""
    expected, found = (_comparable(record, given) for record in (again, recorded.values))
    is_other_version = recorded.version != __version__
    if is_other_version:  # which may have had other keys
        both = expected.keys() & found.keys()
        expected, found = ({key: one[key] for key in both} for one in (expected, found))
    faults = list(differing_keys(expected, found))
    if faults:
        return FileReport("different", listing(faults, _FAULTS_SHOWN))
    told = {
        f"it was made by electra_convert {recorded.version}, and again by {__version__}": is_other_version,
        "its notices are others": recorded.values.get("notices") != again.get("notices"),
        "where the source lay is not compared": given,
        "what was measured of int8 is not compared, since every machine adds up in its own way": (
            _measured(recorded.values) != _measured(again)
        ),
    }
    return FileReport("equal", ", and ".join(line for line, is_so in told.items() if is_so))


def _comparable(record: Mapping[str, Any], given: bool) -> dict[str, Any]:
    """What of a record decides; of a source that was given the files have been held against it already."""
    kept = {key: value for key, value in record.items() if key not in _TOLD}
    if _measured(record) is not None:
        kept["onnx"] = {**record["onnx"], "int8": {**record["onnx"]["int8"], "measured": None}}
    if given:
        kept["source"] = _only(kept.get("source"), "format")
        kept["provenance"] = _only(kept.get("provenance"), "options")
    return kept


def _measured(record: Mapping[str, Any]) -> object:
    """How far a model of int8 was found to be from that of float32; None where that was not measured."""
    match record:
        case {"onnx": {"int8": {"measured": figures}}}:
            return figures
    return None


def _only(value: object, key: str) -> object:
    return {key: value.get(key)} if isinstance(value, dict) else value
