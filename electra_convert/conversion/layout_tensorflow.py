"""A TensorFlow checkpoint laid out for google-research/electra: layout chosen, models merged; writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from electra_convert import tokenizer
from electra_convert.checkpoint import Checkpoint, Model
from electra_convert.config.express import check_expressible, express
from electra_convert.config.record import encode_record, recorded_dtypes, recorded_hparams, recorded_layout
from electra_convert.config.sources import Findings
from electra_convert.conversion.options import Options
from electra_convert.conversion.plan import Container, OutputPlan
from electra_convert.errors import NamesError, counted, listing
from electra_convert.formats import tf_bundle
from electra_convert.formats.names import CONVERSION_FILE, HPARAMS_FILE
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.google import google_form, variables
from electra_convert.schemes.heads import PRETRAINING
from electra_convert.schemes.layouts import LAYOUTS, Layout, Network, collapse, fine_tuned
from electra_convert.schemes.mapping import SLOT_NAMES, STEP_NAME, Role
from electra_convert.schemes.models import require_one_table, step_constant
from electra_convert.tensors.spec import DTYPES, DType, Sink, Tensor, TensorSpec
from electra_convert.tensors.weight import Weight, same_bits, zeros
from electra_convert.tokenizer.for_google import google_vocabulary

_PREFIX = "model.ckpt"
_SLOTS = tuple(f"/{slot}" for slot in SLOT_NAMES)
_PAIR_LAYOUTS = ("default", "untied_generator_embeddings", "tied_generator")
Entries = dict[str, tuple[Weight, TensorSpec]]


def plan_tensorflow(
    checkpoint: Checkpoint,
    findings: Findings,
    roles: Sequence[Role],
    options: Options,
    notices: Sequence[str],
    provenance: Callable[[], Mapping[str, Any]] | None = None,
) -> OutputPlan:
    """Lay out a checkpoint that Google's code can resume.

    Provenance gives what the record is to say of files and options.

    Raises:
        ConfigError: Google's code cannot express a model.
        NamesError: the two models differ in a tensor that they must share.
        VocabularyError: the vocabulary does not belong to the models.
        CorruptFileError: a tensor that both models hold failed its container's checks.
    """
    models = {role: checkpoint.models[role] for role in roles}
    configs = {role: findings.configs[role] for role in roles}
    for model in models.values():
        require_one_table(checkpoint.path, model)
    layout = choose_layout(checkpoint, findings, models)
    check_expressible(configs, layout)
    entries = _merge(checkpoint, layout, models, options)
    main = next(iter(models.values()))
    vocabulary = google_vocabulary(checkpoint, main, findings.hparams, options.tokenizer)
    told = [*notices, *vocabulary.notices, *_dtype_notices(entries), *vocabulary.findings.notices]
    warned = vocabulary.findings.warnings
    given = findings.hparams.given if findings.hparams else recorded_hparams(checkpoint.record)
    hparams = express(configs, layout, vocabulary.lower_case, given)
    ordered = [entries[name] for name in sorted(entries, key=str.encode)]
    prefix = f"{options.prefix or _PREFIX}-{checkpoint.step or 0}"
    described = {role: config.values for role, config in configs.items()}
    files = {
        "checkpoint": tf_bundle.encode_state(prefix),
        HPARAMS_FILE: (json.dumps(hparams, indent=2, sort_keys=True) + "\n").encode(),
        CONVERSION_FILE: encode_record(
            checkpoint,
            layout.name,
            described,
            hparams,
            [*told, *findings.warnings, *warned],
            ordered,
            provenance and provenance(),
        ),
        **vocabulary.files,
    }

    def open_sink(folder: Path, specs: Sequence[TensorSpec]) -> Sink:
        return tf_bundle.open_sink(folder / prefix, specs)

    written = {tf_bundle.data_path(Path(prefix), 0, 1).name: sum(spec.nbytes for _, spec in ordered)}
    written |= {tf_bundle.index_path(Path(prefix)).name: 0}
    return OutputPlan((Container("", written, ordered, open_sink),), files, tuple(told), warned)


def choose_layout(checkpoint: Checkpoint, findings: Findings, models: Mapping[Role, Model]) -> Layout:
    """Choose the layout that models are to have in TensorFlow.

    For one model it is the layout that holds it alone; for a pair the one asked for in hparams, the one it came from,
    or the one that its tensors fit.

    Raises:
        NamesError: no layout can hold both models.
        CorruptFileError: a tensor failed its container's checks.
    """
    if len(models) == 1:
        role, model = next(iter(models.items()))
        if model.head in PRETRAINING.values():
            return LAYOUTS["masked_lm" if role == "generator" else "uniform_generator"]
        if model.head.is_of_a_task and head_without_place(model) is None:
            return fine_tuned(model.head, model.task or model.head.name)
        return LAYOUTS["encoder"]
    if models["discriminator"].head not in PRETRAINING.values():
        raise NamesError(
            "the discriminator has no pretraining head, which every layout of a pair needs",
            "Convert the models one by one (--model).",
        )
    asked = findings.hparams.layout if findings.hparams else None
    if asked is not None and asked not in _PAIR_LAYOUTS:
        raise NamesError(f"the {asked} layout, which the hparams ask for, cannot hold both models")
    known = asked or (checkpoint.layout.name if checkpoint.layout else recorded_layout(checkpoint.record))
    if known not in _PAIR_LAYOUTS:
        known = _fitting(models)
    _require_representable(LAYOUTS[known], models)
    return LAYOUTS[known]


def head_without_place(model: Model) -> str | None:
    """Why Google's code has no place for a model's head; None where it has, or where there is none.

    Raises:
        CorruptFileError: a tensor of the head failed its container's checks.
    """
    head = model.head
    if head.unmapped:
        return "Google's code has no such head"
    if head.algebra is not None and not google_form(model):
        return (
            "Google's code has one dense layer, and these two are not of the form in which it becomes two here, as "
            "finetune --google-head trains them"
        )
    if head.segment and not model.task and tokenizer.segment_of_folder(model.folder) != head.segment:
        return (
            "Google's code gives every real token of this task segment 1, and this model's tokenizer does not, as "
            "that of finetune --google-head does"
        )
    return None


def head_notices(checkpoint: Checkpoint, roles: Collection[Role]) -> list[str]:
    """The heads of transformers models that Google's code has no place for; reads the tensors of some."""
    told = [(checkpoint.models[role].head, head_without_place(checkpoint.models[role])) for role in roles]
    return [
        f"Left out, a fine-tuned head ({', '.join(sorted(head.unmapped or head.names))}): {reason}."
        for head, reason in told
        if reason is not None
    ]


def _fitting(models: Mapping[Role, Model]) -> str:
    discriminator, generator = models["discriminator"], models["generator"]
    if discriminator.sizes.embedding != generator.sizes.embedding:
        return "untied_generator_embeddings"
    trunk = [name for name in generator.weights if name.startswith(ELECTRA.prefix)]
    if generator.sizes == discriminator.sizes and all(
        same_bits(generator.weights[name], discriminator.weights[name]) for name in trunk
    ):
        return "tied_generator"
    return "default"


def _require_representable(layout: Layout, models: Mapping[Role, Model]) -> None:
    discriminator, generator = models["discriminator"].sizes, models["generator"].sizes
    if layout.name == "untied_generator_embeddings" and generator.embedding != generator.hidden:
        raise NamesError(
            f"the generator's own embeddings are {generator.embedding} wide, its hidden states {generator.hidden}; "
            "google-research/electra makes a generator's own embeddings as wide as its hidden states",
            "Convert the models one by one (--model).",
        )
    shared = ("vocabulary", "positions", "types")
    if different := [size for size in shared if getattr(discriminator, size) != getattr(generator, size)]:
        size = different[0]
        raise NamesError(
            f"the discriminator has {getattr(discriminator, size)} {size}, the generator {getattr(generator, size)}; "
            "google-research/electra has one number for both",
            "Convert the models one by one (--model).",
        )


def _merge(checkpoint: Checkpoint, layout: Layout, models: Mapping[Role, Model], options: Options) -> Entries:
    """The union of the models' tensors; what two models both hold must be the same to the bit."""
    entries: Entries = {}
    unequal: list[str] = []
    for network in layout.networks:
        model = models[network.role]
        recorded = recorded_dtypes(model.record)
        for name, weight in _variables(network, model, options):
            asked = DTYPES[options.dtype] if options.dtype and not name.endswith(_SLOTS) else None
            entry = (weight, TensorSpec(name, asked or _dtype(checkpoint, weight.tensor, recorded), weight.shape))
            if name in entries and not same_bits(entries[name][0], weight):
                unequal.append(name)
            entries.setdefault(name, entry)
    if unequal:
        raise _not_shared(unequal, models["generator"])
    if options.optimizer or options.zero_optimizer:
        step = checkpoint.step_tensor or step_constant(checkpoint.step or 0)
        entries[STEP_NAME] = (Weight(step), TensorSpec(STEP_NAME, step.dtype, ()))
    return entries


def _variables(network: Network, model: Model, options: Options) -> Iterator[tuple[str, Weight]]:
    """A model's variables with the slots that were asked for: its own, or zeros."""
    for name, weight in variables(network, model):
        if not name.endswith(_SLOTS):
            yield name, weight
            if options.zero_optimizer:
                specs = [TensorSpec(f"{name}{slot}", DTYPES["float32"], weight.shape) for slot in _SLOTS]
                yield from ((spec.name, Weight(zeros(spec))) for spec in specs)
        elif options.optimizer:
            yield name, weight


def _dtype(checkpoint: Checkpoint, tensor: Tensor, recorded: Mapping[str, str]) -> DType:
    """Google's code reads float32 only; what was another dtype in the checkpoint it came from stays it."""
    if not checkpoint.scheme.described or recorded.get(tensor.name) == tensor.dtype.name:
        return tensor.dtype
    return DTYPES["float32"]


def _dtype_notices(entries: Entries) -> list[str]:
    widened = sorted(
        {str(weight.tensor.dtype) for weight, spec in entries.values() if weight.tensor.dtype != spec.dtype}
    )
    return [f"Weights of {listing(widened)} are written as float32, which Google's code reads."] if widened else []


def _not_shared(names: list[str], generator: Model) -> NamesError:
    hint = "They are not from one run; convert them one by one (--model)."
    if generator.sizes.embedding == generator.sizes.hidden:
        hint = (
            """To give the generator embeddings of its own: --hparams '{"untied_generator_embeddings": true}'. """
            "Or convert the models one by one (--model)."
        )
    return NamesError(
        f"{counted(len(names), 'tensor')} that discriminator and generator share in google-research/electra, not "
        f"equal here: {listing(collapse(names))}",
        hint,
    )
