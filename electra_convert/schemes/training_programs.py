"""The names that training programs in PyTorch have for transformers' parameters: both models in one state dict, under
prefixes of the modules around them; read as the pair that they are.

Known are simpletransformers, richarddwang/electra_pytorch (pretrain.py, finetune.py), lucidrains/electra-pytorch
(electra_pytorch/electra_pytorch.py, pretraining/openwebtext/pretrain.py), and what wraps any module.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from electra_convert.formats.locate import Location
from electra_convert.formats.names import CONFIG_FILE
from electra_convert.formats.safetensors_file import SafetensorsSource
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.foreign import stated_beside
from electra_convert.schemes.heads import HEADS
from electra_convert.schemes.models import Checkpoint, Model, OpenSource, Scheme
from electra_convert.schemes.transformers import Part, checkpoint_of, read_part
from electra_convert.tensors.spec import Source, Tensor
from electra_convert.tensors.weight import Weight

# simpletransformers has generator_model and discriminator_model, all others the plain words.
_HALF = re.compile(r"(?P<outer>(?:[\w-]+\.)*?)(?P<half>generator|discriminator)(?:_model)?\.(?P<rest>.+)")
# What torch's own wrappers put around a module, trainers, lucidrains' adapter of logits and his extractor of hidden
# states (the first of two modules in a row), and richarddwang's predictor of sentences.
_EXTRACTOR, _SENTENCES = "0.net.", "base_model."
_TORCHS = ("module.", "_orig_mod.")
_AROUND = (*_TORCHS, "model.", "net.", "network.", "adaptee.", _EXTRACTOR, _SENTENCES)
# Around a model that has a head there may be any module of one's own: its encoder says where it begins.
_ENCODER = re.compile(
    rf"(?P<around>(?:{'|'.join(map(re.escape, _AROUND))})*|(?:\w+\.)+(?={re.escape(ELECTRA.prefix)}))"
    rf"(?:{re.escape(ELECTRA.prefix)})?(?:embeddings|embeddings_project|encoder)\."
)
_EMBEDDINGS = f"{ELECTRA.prefix}embeddings."
# The class that simpletransformers trains a pair as, whose config.json is a default one that fits neither model.
_OF_NEITHER = "ElectraForLanguageModelingModel"
_EXTRACTED = (
    "lucidrains' linear layer over the output of a layer that the file does not name; no class of transformers has it"
)


@dataclass(frozen=True)
class _Half:
    """A model within a state dict.

    Attributes:
        around: what is before every name of it.
        weights: under transformers' names.
        others: tensors that lie beside it, by their names behind the part that all have.
    """

    around: str
    weights: Mapping[str, Weight]
    others: Mapping[str, Weight]


def _recognises(names: Collection[str]) -> bool:
    """Whether a model lies in a half, or in more than torch's own wrappers, which transformers' scheme takes off."""
    for name in names:
        half = _HALF.fullmatch(name)
        if half and _ENCODER.match(half["rest"]):
            return True
        whole = _ENCODER.match(name)
        if whole and re.sub("|".join(map(re.escape, _TORCHS)), "", whole["around"]):
            return True
    return False


def _read(path: Path, locations: Sequence[Location], open_source: OpenSource) -> Checkpoint:
    parts: list[Part] = []
    because = ""
    for location in locations:
        source = open_source(location)
        halves = _completed(_halves(_stored(source)))
        found = [_part(location, source, half) for half in halves]
        parts += _described(location, found)
        if any(half.others and half.around.endswith(_EXTRACTOR) for half in halves):
            because = _EXTRACTED
    checkpoint = checkpoint_of(TRAINING_PROGRAMS, path, locations, parts)
    return replace(checkpoint, notices=tuple(dict.fromkeys(checkpoint.notices)), because=because)


def _stored(source: Source) -> dict[str, Weight]:
    """The tensors of a source, those too that safetensors.torch.save_model left out since they share memory.

    It names them in the metadata of the file, each with the tensor that it is (safetensors/torch.py, save_model).
    """
    tensors: dict[str, Tensor] = dict(source.tensors)
    if isinstance(source, SafetensorsSource):
        same = {name: source.tensors[kept] for name, kept in source.metadata.items() if kept in source.tensors}
        tensors = {**same, **tensors}
    return {name: Weight(tensor) for name, tensor in tensors.items()}


def _halves(weights: Mapping[str, Weight]) -> list[_Half]:
    """The models in a state dict, the discriminator first; what is of neither half lies beside the first."""
    matched = {name: half for name in weights if (half := _HALF.fullmatch(name))}
    outer = {half["outer"] for half in matched.values() if _ENCODER.match(half["rest"])}
    named: dict[str, dict[str, Weight]] = {}
    rest = {}
    for name, weight in weights.items():
        half = matched.get(name)
        if half and half["outer"] in outer:
            named.setdefault(half["half"], {})[half["rest"]] = weight
        else:
            rest[name] = weight
    if not named:
        return [_unwrapped(weights)]
    halves = [_unwrapped(named[name]) for name in sorted(named)]
    return [replace(halves[0], others={**halves[0].others, **rest}), *halves[1:]]


def _unwrapped(weights: Mapping[str, Weight]) -> _Half:
    """A model without what is around its encoder, and apart from it what lies beside that."""
    around = {found["around"] for name in weights if (found := _ENCODER.match(name))}
    before = min(around, key=len, default="")
    inner = {name.removeprefix(before): weight for name, weight in weights.items() if name.startswith(before)}
    others = {name: weight for name, weight in weights.items() if not name.startswith(before)}
    outer = before.removesuffix(_SENTENCES)
    head = {name.removeprefix(outer): weight for name, weight in others.items()}
    if before.endswith(_SENTENCES) and (made := _of_one_layer(head)):
        named = {f"{ELECTRA.prefix}{name}": weight for name, weight in inner.items()}
        return _Half(before, {**named, **made}, {})
    return _Half(before, inner, others)


def _of_one_layer(head: Mapping[str, Weight]) -> dict[str, Weight]:
    """transformers' head made of richarddwang's, which is Google's: one dense layer on the first token."""
    for known in HEADS.values():
        if known.algebra is not None and {rule.hf for rule in known.rules} == head.keys():
            return known.algebra.forward(head)
    return {}


def _completed(halves: Sequence[_Half]) -> list[_Half]:
    """Both halves with the embeddings that they share, where the file holds those of one alone."""
    shared: dict[str, Weight] = {}
    for half in reversed(halves):
        shared |= {name: weight for name, weight in half.weights.items() if name.startswith(_EMBEDDINGS)}
    return [
        replace(half, weights={**shared, **half.weights})
        if any(name.startswith(ELECTRA.prefix) for name in half.weights)
        else half
        for half in halves
    ]


def _part(location: Location, source: Source, half: _Half) -> Part:
    part = read_part(location, source, half.weights, ties=False)
    told = []
    if part.model.head.algebra is not None and half.around.endswith(_SENTENCES):
        told.append(part.model.head.algebra.remark(part.model.sizes.labels, part.model.sizes.hidden))
    others = tuple(weight.tensor.name for weight in half.others.values())
    return replace(part, unmapped=(*part.unmapped, *others), notices=(*part.notices, *told))


def _described(location: Location, parts: Sequence[Part]) -> list[Part]:
    """The models with the config.json of each, which lies in a folder of its own, or beside the file."""
    beside = location.folder / CONFIG_FILE
    own = [location.folder / f"{part.model.role}_config" / CONFIG_FILE for part in parts]
    found = [
        replace(part, model=replace(part.model, config=beside if _is_about(part.model, location, parts) else path))
        for part, path in zip(parts, own, strict=True)
    ]
    if beside.is_file() and all(part.model.config != beside for part in found):
        instead = [f"{path.parent.name}/{path.name}" for path in own if path.is_file()]
        which = f"; {' and '.join(instead)} are" if instead else ""
        notice = f"The {CONFIG_FILE} beside the weights is not of these models{which}."
        found[0] = replace(found[0], notices=(*found[0].notices, notice))
    return found


def _is_about(model: Model, location: Location, parts: Iterable[Part]) -> bool:
    """Whether the config.json beside a file is of one of its models: named by its class, or else by its sizes."""
    if (location.folder / f"{model.role}_config" / CONFIG_FILE).is_file():
        return False
    named = stated_beside(location.folder, "architectures")
    classes = [str(name) for name in named] if isinstance(named, list) else []
    if _OF_NEITHER in classes:
        return False
    if len(list(parts)) == 1:
        return True
    if classes:
        return classes[0] == model.head.architecture()
    stated = [stated_beside(location.folder, key) for key in ("hidden_size", "num_hidden_layers")]
    return stated == [model.sizes.hidden, model.sizes.layers]


TRAINING_PROGRAMS = Scheme(
    "training_programs",
    {"safetensors", "torch"},
    _recognises,
    _read,
    described=True,
    target="safetensors",
    loads="nothing",
)
