"""What the classes of a fine-tuned head are called: Google's code stores it nowhere, or beside the training data."""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electra_convert.config.resolve import Value
from electra_convert.errors import ConfigError, listing
from electra_convert.formats.files import small_text
from electra_convert.formats.names import CONFIG_FILE
from electra_convert.schemes.heads import Head

# finetune/classification/classification_tasks.py of google-research/electra (commit 8a46635): index is id.
GOOGLE_LABELS: Mapping[str, tuple[str, ...]] = {
    "mnli": ("contradiction", "entailment", "neutral"),
    **dict.fromkeys(("rte", "qnli"), ("entailment", "not_entailment")),
    **dict.fromkeys(("cola", "mrpc", "sst", "qqp"), ("0", "1")),
}
_LARGEST_MAPPING = 1 << 20
# Dictionaries, text and whole numbers in every protocol.
_PLAIN = frozenset(
    """
    PROTO FRAME MARK STOP EMPTY_DICT DICT SETITEM SETITEMS SHORT_BINUNICODE BINUNICODE UNICODE INT BININT BININT1
    BININT2 LONG LONG1 MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET
    """.split()
)
_HINT = "Give --labels with a name for each, in the order of their ids: a file with one a line, or a,b,c."


@dataclass(frozen=True)
class Labels:
    """The names of a head's classes by id, where they were found, and a warning where they are made up."""

    names: tuple[str, ...]
    origin: str
    warning: str | None = None

    @property
    def values(self) -> dict[str, Value]:
        """As config.json has them."""
        ids = {str(index): name for index, name in enumerate(self.names)}
        return {
            "id2label": Value(ids, self.origin),
            "label2id": Value({name: int(index) for index, name in ids.items()}, self.origin),
        }


def find_labels(folder: Path, task: str, head: Head, count: int, option: str | Sequence[str] | None) -> Labels:
    """Name the classes of a head: as an option says, or else as Google's code does for its task.

    Where nothing says them they are LABEL_0, LABEL_1, ... with a warning.

    Raises:
        ConfigError: a source names another number of classes, or one twice, or cannot be read.
    """
    if option is not None:
        names = given_labels(option)
        return Labels(_checked(names, count, "--labels"), "--labels")
    if (mapping := mapping_file(folder, task)) is not None:
        return Labels(_checked(read_mapping(mapping), count, str(mapping)), mapping.name)
    if len(GOOGLE_LABELS.get(task, ())) == count:
        return Labels(GOOGLE_LABELS[task], f"google-research/electra's {task}")
    made_up = made_up_labels(count)
    if head.labels is not None:
        return made_up
    told = f"Nothing says what the {count} classes of {task} are called: they are {made_up.names[0]} and so on."
    return Labels(made_up.names, "made up", f"{told} {_HINT}")


def made_up_labels(count: int) -> Labels:
    """Those that transformers gives where a config.json names none."""
    return Labels(tuple(f"LABEL_{index}" for index in range(count)), "transformers' default")


def configured_labels(config: Mapping[str, Any], count: int) -> Labels:
    """Those that a config.json names, as far as it does, or those that transformers gives in their place."""
    given = config.get("id2label")
    if not isinstance(given, Mapping):
        return made_up_labels(count)
    return Labels(tuple(str(given.get(str(index))) for index in range(max(count, len(given)))), CONFIG_FILE)


def read_labels(given: str | Path | Sequence[str] | None) -> str | tuple[str, ...] | None:
    """Labels as the command line takes them, the name of a file or names with commas between, or a list as it is."""
    if given is None or isinstance(given, str):
        return given
    return str(given) if isinstance(given, Path) else tuple(given)


def given_labels(option: str | Sequence[str]) -> Sequence[str]:
    """The names that an option gives: of a file one a line, else what stands between commas, or a list as it is."""
    if not isinstance(option, str):
        return option
    path = Path(option)
    try:
        if "," not in option or path.is_file():
            return small_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"--labels {option}: no file, and no list: {error}", _HINT) from error
    return [name.strip() for name in option.split(",")]


def _checked(names: Sequence[str], count: int, origin: str) -> tuple[str, ...]:
    if len(names) != count:
        raise ConfigError(
            f"{origin} names {len(names)} classes ({listing(names, 6)}), but the head has {count}", _HINT
        )
    if blank := [index for index, name in enumerate(names) if not name.strip()]:
        raise ConfigError(f"{origin} leaves class {blank[0]} without a name", _HINT)
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise ConfigError(f"{origin} names the class {twice!r} twice", _HINT)
    return tuple(names)


def mapping_file(folder: Path, task: str) -> Path | None:
    """The labels that Google's tagging task kept (finetune/tagging/tagging_tasks.py, TaggingTask._get_labels).

    It lies in finetuning_tfrecords/TASKS_tfrecords beside the finetuning_models that the checkpoint's folder is of;
    people also put it beside the checkpoint.
    """
    name = f"{task}_label_mapping.pkl"
    tasks = folder.absolute().name.rpartition("_model_")[0]
    records = folder.absolute().parent.parent / "finetuning_tfrecords"
    places = [folder / name, records / f"{tasks}_tfrecords" / name, *sorted(records.glob(f"*_tfrecords/{name}"))]
    return next((place for place in places if place.is_file()), None)


def _require_plain(data: bytes) -> None:
    """Refuse a pickle with any operation that a dictionary of text and numbers has no use for, before it is run."""
    for operation, argument, _ in pickletools.genops(data):
        if operation.name not in _PLAIN:
            raise ValueError(f"it has the operation {operation.name}, which no such table needs")
        if operation.name.endswith("PUT") and int(argument or 0) > len(data):
            raise ValueError(f"it numbers a value {argument}, more than it can hold")


def read_mapping(path: Path) -> list[str]:
    """The labels of a pickled table of label and id, in the order of their ids; nothing in it is run.

    Raises:
        ConfigError: it is no such table.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_MAPPING + 1)
        if len(data) > _LARGEST_MAPPING:
            raise ValueError(f"it is longer than {_LARGEST_MAPPING} bytes")
        _require_plain(data)
        table: Any = pickle.loads(data)
    except Exception as error:
        raise ConfigError(f"{path} cannot be read as a table of labels: {error}", _HINT) from error
    if not isinstance(table, dict) or not all(
        isinstance(name, str) and type(index) is int for name, index in table.items()
    ):
        raise ConfigError(f"{path} is no table of labels and their ids", _HINT)
    if sorted(table.values()) != list(range(len(table))):
        raise ConfigError(f"{path}: the ids do not run from 0 to {len(table) - 1}", _HINT)
    return sorted(table, key=table.__getitem__)
