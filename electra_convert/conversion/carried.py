"""What lies beside a transformers model's weights: carried to another folder unchanged, or named as left out."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from electra_convert.checkpoint import Checkpoint, Model
from electra_convert.conversion.options import Options
from electra_convert.errors import ElectraConvertError
from electra_convert.formats.files import ReadFile
from electra_convert.formats.json_objects import decode_json
from electra_convert.formats.locate import PAIR
from electra_convert.formats.names import (
    CONFIG_FILE,
    CONVERSION_FILE,
    MODULES_FILE,
    RUN_FILE,
    SPECIAL_TOKENS_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    TRAINING_FILE,
    VOCABULARY_FILE,
    Kind,
    is_module,
    kind_of,
    limit_of,
)
from electra_convert.provenance import container_files
from electra_convert.tokenizer.kinds import other_tokenizer
from electra_convert.tokenizer.of_checkpoint import TokenizerFiles

# What names code that transformers runs from a model's folder.
_CODE_KEYS = ("auto_map", "custom_pipelines")
_NAMING = (CONFIG_FILE, TOKENIZER_CONFIG_FILE)
_READ = frozenset({CONFIG_FILE, CONVERSION_FILE, TRAINING_FILE, RUN_FILE})


@dataclass(frozen=True)
class Carried:
    """What a model folder takes over from the one that the model lay in.

    Attributes:
        files: by path, their bytes.
        config: the config.json of the model, without what is left out of it.
        notices: what is left out.
    """

    files: Mapping[str, bytes]
    config: Mapping[str, Any]
    notices: tuple[str, ...]


def carry(
    checkpoint: Checkpoint, model: Model, tokens: TokenizerFiles, config: Mapping[str, Any], options: Options
) -> Carried:
    """Decide on every file beside a model that goes from one transformers folder to another.

    Beside a model of any other scheme nothing is carried.
    """
    if not checkpoint.scheme.described:
        return Carried({}, config, ())
    beside = _beside(checkpoint, model, _READ | tokens.files.keys())
    stays = not tokens.settings and not options.tokenizer.no_tokenizer
    replaced = [name for name in beside.get("tokenizer", ()) if not stays and "/" not in name]
    carried = [*beside.get("tokenizer", ()), *beside.get("settings", ())]
    files, told = _read(model.folder, [name for name in carried if name not in replaced])
    kept = {**tokens.files, **files}.get(TOKENIZER_CONFIG_FILE, b"{}")
    code = _Code(beside.get("code", ()), config, _decoded(kept))
    sources, unread = _read(model.folder, code.files if options.keep_custom_code else ())
    if code.naming and not unread and code.wanted <= sources.keys() and options.keep_custom_code:
        files |= sources
    else:
        told += [*unread, *code.notice(options.keep_custom_code)]
        files |= code.settings_without
        config = _without(config, _CODE_KEYS)
    if replaced:
        told.append(f"Left out, of the tokenizer that was there: {_listed(replaced)}.")
    config = _without(config, ("tokenizer_class",)) if tokens.replaces else config
    return Carried(files, config, (*told, *_left_out(checkpoint, beside)))


def left_behind(checkpoint: Checkpoint, model: Model) -> list[str]:
    """What of a model's folder has no place in a checkpoint of Google's code, and what follows from that."""
    if not checkpoint.scheme.described:
        return []
    beside = _beside(checkpoint, model, _READ | {VOCABULARY_FILE})
    expressed = {TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, SPECIAL_TOKENS_FILE}
    other = other_tokenizer(model.folder)
    tokenizer = [name for name in beside.get("tokenizer", ()) if other or name not in expressed]
    told = []
    if other:
        files = f" (left out: {_listed(tokenizer)})" if tokenizer else ""
        told.append(
            f"The model's tokenizer is {other}{files}, which Google's code does not have: its "
            "WordPiece splits words at white space and punctuation alone, and gives other tokens of the same text."
        )
    elif tokenizer:
        told.append(f"Left out, of the tokenizer, so that Google's code splits what they add: {_listed(tokenizer)}.")
    modules = [
        name for name in beside.get("settings", ()) if name == MODULES_FILE or is_module(name.partition("/")[0])
    ]
    settings = [name for name in beside.get("settings", ()) if name not in modules]
    if modules:
        told.append(
            f"Left out, the modules of sentence-transformers: {_listed(modules)}. Google's code gives the states of "
            "tokens, which have to be pooled to those of sentences."
        )
    if settings:
        told.append(f"Left out, settings that Google's code does not read: {_listed(settings)}.")
    read, _ = _read(model.folder, [name for name in _NAMING if (model.folder / name).is_file()])
    code = _Code(beside.get("code", ()), *(_decoded(read.get(name, b"{}")) for name in _NAMING))
    if named := [*code.files, *code.naming]:
        told.append(f"Left out, code that Google's code does not run: {_listed(named)}.")
    return [*told, *_left_out(checkpoint, beside)]


def beside_pair(checkpoint: Checkpoint) -> list[str]:
    """What lies beside the two folders of a pair, and belongs to neither."""
    folders = {model.folder for model in checkpoint.models.values()}
    if not checkpoint.scheme.described or checkpoint.path not in {folder.parent for folder in folders} - folders:
        return []
    names = [name for name in _names(checkpoint.path) if name.partition("/")[0] not in PAIR]
    return [f"Left out, beside the pair: {_listed(names)}."] if names else []


@dataclass(frozen=True)
class _Code:
    """Code that transformers would run, and what names it.

    Attributes:
        files: Python files beside the model.
        config: its config.json.
        settings: its tokenizer_config.json.
    """

    files: Sequence[str]
    config: Mapping[str, Any]
    settings: Mapping[str, Any]

    @property
    def naming(self) -> list[str]:
        """The keys that name it, each with its file."""
        places = {CONFIG_FILE: self.config, TOKENIZER_CONFIG_FILE: self.settings}
        return [f"{key} of {file}" for file, values in places.items() for key in _CODE_KEYS if values.get(key)]

    @property
    def wanted(self) -> set[str]:
        """The files that those keys name in their own folder; what lies in another repository has -- in its name."""
        modules = {name.rpartition(".")[0] for values in (self.config, self.settings) for name in _classes(values)}
        return {f"{module.replace('.', '/')}.py" for module in modules if "--" not in module}

    @property
    def settings_without(self) -> dict[str, bytes]:
        """tokenizer_config.json without its keys, by its name; nothing where it has none."""
        if not any(self.settings.get(key) for key in _CODE_KEYS):
            return {}
        text = json.dumps(_without(self.settings, _CODE_KEYS), indent=2, ensure_ascii=False)
        return {TOKENIZER_CONFIG_FILE: f"{text}\n".encode("utf-8", "surrogatepass")}

    def notice(self, keep: bool) -> list[str]:
        """What is said where both are left out."""
        if not self.files and not self.naming:
            return []
        why = " (not all of it is there)" if keep else " (--keep-custom-code carries both)"
        return [
            f"Left out, custom code and what names it{why if self.naming else ''}: "
            f"{_listed([*self.files, *self.naming])}."
        ]


def _classes(values: Mapping[str, Any]) -> Iterator[str]:
    """The classes that auto_map and custom_pipelines name, as module.Class."""
    auto_map, pipelines = (values.get(key) for key in _CODE_KEYS)
    named = list(auto_map.values()) if isinstance(auto_map, dict) else [auto_map]
    for pipeline in pipelines.values() if isinstance(pipelines, dict) else ():
        named.append(pipeline.get("impl") if isinstance(pipeline, dict) else None)
    for name in named:
        yield from (one for one in (name if isinstance(name, list) else [name]) if isinstance(one, str))


def _without(values: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def _beside(checkpoint: Checkpoint, model: Model, used: Collection[str]) -> dict[Kind, list[str]]:
    """The files beside a model that nothing has used, by kind; other folders by their names alone, with a slash."""
    read = {
        path.relative_to(model.folder).as_posix()
        for path in container_files(checkpoint)
        if path.is_relative_to(model.folder)
    }
    read |= {f"{other.config_path.parent.name}/" for other in checkpoint.models.values() if other.config}
    # Of a file that was pointed at the folder may be any: only what is a model's by its name is one's own.
    whole = checkpoint.path.is_dir() or (model.folder / CONFIG_FILE).is_file()
    found: dict[Kind, list[str]] = {}
    read |= {f"{name.partition('/')[0]}/" for name in read if "/" in name}
    for name in _names(model.folder):
        kind = kind_of(name)
        if name not in used and name not in read and (whole or kind == "tokenizer"):
            found.setdefault(kind, []).append(name)
    return found


def _names(folder: Path) -> list[str]:
    """Every file in a folder and in those of sentence-transformers' modules; any other folder with a slash."""
    has_modules = (folder / MODULES_FILE).is_file()
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and has_modules and is_module(path.name):
            found += [f"{path.name}/{inner.name}{'/' * inner.is_dir()}" for inner in sorted(path.iterdir())]
        else:
            found.append(f"{path.name}{'/' * path.is_dir()}")
    return found


def _read(folder: Path, names: Sequence[str]) -> tuple[dict[str, bytes], list[str]]:
    """The bytes of files, and notices of those that are too large for their kind or cannot be read."""
    files, told = {}, []
    for name in names:
        limit = limit_of(kind_of(name)) or limit_of("settings")
        try:
            with ReadFile(folder / name) as file:
                if file.size > limit or not name.isprintable():
                    told.append(f"Left out, unread: {_shown(name)} ({file.size:,} bytes).")
                else:
                    files[name] = file.read(file.size, 0)
        except ElectraConvertError as error:
            told.append(f"Left out, unread: {_shown(name)} ({error.message.removeprefix(f'{folder / name} ')}).")
    return files, told


def _left_out(checkpoint: Checkpoint, beside: Mapping[Kind, Sequence[str]]) -> list[str]:
    told = {word.strip(".,") for notice in checkpoint.notices for word in notice.split()}
    weights = [name for name in beside.get("weights", ()) if name not in told]
    others = [name for name in beside.get("other", ()) if name not in told]
    lines = [f"Left out, other weights and pickles: {_listed(weights)}."] if weights else []
    return [*lines, *([f"Left out, no part of the model: {_listed(others)}."] if others else [])]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(_shown, names))


def _shown(name: str) -> str:
    return name if name.isprintable() else repr(name)


def _decoded(data: bytes) -> dict[str, Any]:
    """A JSON object; empty for anything else, which is carried as it is."""
    try:
        value = decode_json(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
