"""An ONNX model in a folder of transformers' files, run by onnxruntime where others are run by PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from electra_convert.config.labels import configured_labels
from electra_convert.config.transformers import SIZE_DEFAULTS, in_electras_words, read_config
from electra_convert.demo.model import LoadedModel
from electra_convert.demo.opening import checked_ids, read_tokenizer
from electra_convert.demo.tasks import TASKS
from electra_convert.errors import CorruptFileError, NamesError, SourceError, UsageError, listing
from electra_convert.formats.names import BESIDE_FILE, CONFIG_FILE, ONNX_FILE, ONNX_FOLDER, TOKENIZER_FILE
from electra_convert.frameworks import import_onnxruntime
from electra_convert.hub.download import as_source
from electra_convert.processor import cores_at_once
from electra_convert.schemes.foreign import family_of_folder
from electra_convert.schemes.heads import PRETRAINING, Head, of_class, with_labels
from electra_convert.schemes.mapping import Role
from electra_convert.tokenizer.folder import max_length_of_folder
from electra_convert.tokenizer.of_checkpoint import findings_of_folder
from electra_convert.tokenizer.saved import read_saved_tokenizer

_ENDING = ".onnx"


class OnnxNetwork:
    """One such model, ready to run; it computes what demo.network.Network does.

    Args:
        path: the model.
        role: which of the two it is.
        threads: how many compute; by default as many as the cores that this process may use.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        CorruptFileError: onnxruntime refuses the file.
    """

    device = "cpu"

    def __init__(self, path: Path, role: Role, threads: int | None = None) -> None:
        onnxruntime = import_onnxruntime("to run ONNX models")
        self.role: Role = role
        self._path = path
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; warnings are of its own optimisations
        options.intra_op_num_threads = threads or cores_at_once()
        # As with PyTorch, threads that wait sleep, and no batch's size is remembered: see processor.py.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no class of their own in common
            told = f"{path} is none that onnxruntime can run: {error}"
            raise CorruptFileError(told, "Convert it again.") from error
        self._inputs = {port.name for port in self._session.get_inputs()}
        self.outputs: tuple[str, ...] = tuple(port.name for port in self._session.get_outputs())
        width = self._session.get_outputs()[0].shape[-1]
        # Other programs may give it a name.
        self.width: int = width if isinstance(width, int) else 0

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """The bytes of its files, by their names."""
        for path in sorted(self._path.parent.iterdir()):
            # Of a large model, model.onnx_data holds the weights.
            if path.name.startswith(self._path.name):
                yield path.name, np.memmap(path, np.uint8, "r")

    def run(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], token_type_ids: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Compute the logits, of arguments and results as Network.run has them."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        outputs = self._session.run(None, {name: given[name] for name in given.keys() & self._inputs})
        return np.asarray(outputs[0] if len(outputs) == 1 else np.stack(outputs, axis=-1))

    def at(
        self,
        places: Sequence[int],
        input_ids: NDArray[np.int64],
        attention_mask: NDArray[np.int64],
        token_type_ids: NDArray[np.int64],
    ) -> Iterator[NDArray[np.float32]]:
        """Give the logits at some places of one sequence, all of which are computed."""
        yield from self.run(input_ids, attention_mask, token_type_ids)[0, list(places)]


def load_onnx(source: str | Path, threads: int | None = None) -> LoadedModel:
    """Open an ONNX model with the tokenizer and the configuration of its folder.

    Args:
        source: the folder of a model, which holds onnx/model.onnx, or any .onnx file in it.
        threads: how many compute; by default as many as the cores that this process may use.

    Raises:
        UsageError: it is on the Hub.
        SourceError: there is no ONNX model.
        ConfigError: its folder has no configuration.
        NamesError: its configuration is of a class that gives no scores, or a part of its head lies beside it.
        VocabularyError: its folder has no tokenizer.
        CorruptFileError: onnxruntime refuses the file, or it is of another class than its configuration.
        MissingPackageError: onnxruntime is not installed.
    """
    path, folder = _find(source)
    family = family_of_folder(folder)
    config = {**SIZE_DEFAULTS, **in_electras_words(read_config(folder / CONFIG_FILE, family), family)}
    head = _head(config, folder)
    network = OnnxNetwork(path, head.role, threads)
    if network.outputs != head.outputs:
        raise CorruptFileError(
            f"{path} gives {listing(network.outputs)}, and {folder / CONFIG_FILE} is of a model that gives "
            f"{listing(head.outputs)}",
            "Convert it again.",
        )
    has_labels = head.is_of_a_task and len(head.outputs) == 1
    labels = configured_labels(config, network.width).names if has_labels else ()
    saved = read_saved_tokenizer(folder)
    tokenizer = read_tokenizer(folder / TOKENIZER_FILE, saved.files[TOKENIZER_FILE])
    ids = checked_ids(tokenizer, saved.special, folder, config["vocab_size"])
    found = findings_of_folder(folder)
    return LoadedModel(
        source=as_source(source),
        network=network,
        tokenizer=tokenizer,
        special={token: ids[own] for token, own in saved.special.items()},
        spelt=saved.special,
        positions=_longest(head, config["max_position_embeddings"], folder),
        segment=min(next(iter(tokenizer.encode(saved.special["[MASK]"]).type_ids), 0), config["type_vocab_size"] - 1),
        labels=labels,
        problem_type=config.get("problem_type"),
        role=head.role,
        head=with_labels(head, len(labels)) if has_labels else head,
        notices=(*found.notices, *found.warnings),
    )


def _find(source: str | Path) -> tuple[Path, Path]:
    """The model, and the folder of its tokenizer and configuration."""
    given = as_source(source)
    if isinstance(given, str):
        raise UsageError(
            f"--engine onnx runs models on this machine, and {given} is on the Hub",
            f"Bring it here: electra-convert convert {given} my-onnx --to onnx",
        )
    if given.suffix == _ENDING and given.is_file():
        place = given.absolute().parent
        return given, place.parent if place.name == ONNX_FOLDER else place
    if not given.exists():
        raise SourceError(f"{given} does not exist")
    for folder in (given.parent,) if given.name == ONNX_FOLDER else (given, given / "discriminator"):
        if (path := folder / ONNX_FOLDER / ONNX_FILE).is_file():
            return path, folder
    output = given if (given / CONFIG_FILE).is_file() else "my-onnx"
    raise SourceError(
        f"{given} has no ONNX model, {ONNX_FOLDER}/{ONNX_FILE}",
        f"Make one: electra-convert convert {given} {output} --to onnx",
    )


def _head(config: Mapping[str, Any], folder: Path) -> Head:
    named = config.get("architectures")
    name = named[0] if isinstance(named, list) and named else None
    head = of_class(str(name))
    if head is None or not (head.name in TASKS or head is PRETRAINING["discriminator"]):
        raise NamesError(
            f"{folder / CONFIG_FILE} is of the class {name}, which gives no scores",
            "Give a discriminator, or a model fine-tuned for a task.",
        )
    if (folder / BESIDE_FILE).is_file():
        raise NamesError(
            f"{folder} keeps a part of its head in {BESIDE_FILE}, which no ONNX model holds",
            "Leave out --engine onnx: PyTorch runs both.",
        )
    return head


def _longest(head: Head, positions: int, folder: Path) -> int:
    """The longest input; a fine-tuned model is given none beyond what it was fine-tuned on, where that is known."""
    stated = max_length_of_folder(folder) if head.is_of_a_task else None
    return int(min(stated, positions)) if stated and stated > 0 else positions
