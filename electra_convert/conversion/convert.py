"""convert: a source read, an output laid out and written; every decision about either is made elsewhere.

Named apart from the function, which is electra_convert.convert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from electra_convert.checkpoint import Checkpoint, open_path
from electra_convert.config.hparams import hparams_text
from electra_convert.config.labels import read_labels
from electra_convert.config.resolve import Value, origins, plain
from electra_convert.config.sources import gather
from electra_convert.conversion.adding import add, models_there, plan_additions
from electra_convert.conversion.measuring import Measured
from electra_convert.conversion.options import (
    ModelType,
    Options,
    Quantization,
    Rounding,
    Selection,
    Target,
    lowers_case,
    read_added_tokens,
    read_path,
    read_patterns,
    read_size,
    read_target,
)
from electra_convert.conversion.parts import choose_roles, plan_part, separate_parts
from electra_convert.conversion.plan import merged, write
from electra_convert.errors import ParityError, UsageError, arguments_for_options, counted
from electra_convert.formats.names import CONVERSION_FILE, ONNX_FOLDER
from electra_convert.hub.download import Origin, as_source, brought_source
from electra_convert.output import check_target
from electra_convert.schemes.family import ELECTRA
from electra_convert.schemes.layouts import read_task
from electra_convert.schemes.mapping import Role
from electra_convert.schemes.models import naming
from electra_convert.tensors.transfer import Progress
from electra_convert.tokenizer.of_checkpoint import TokenizerOptions

if TYPE_CHECKING:
    from electra_convert.verification.onnx_models import Int8Distance


@dataclass(frozen=True, repr=False)
class Conversion:
    """What a conversion made, or would make.

    Attributes:
        source: what was pointed at.
        output: the folder that was made.
        format: the container that was read.
        to: the container that was written.
        model_type: whose names transformers knows it by: electra or bert.
        layout: the layout of a TensorFlow source, or None.
        step: the global step, or None where it is not known.
        models: the configuration of each model written, by role, or of several tasks by task, each value with its
            origin.
        parameters: the number of weights of each model written.
        files: the size in bytes of every file, by path within the output; for a dry run, of containers the bytes of
            their tensors alone, without headers and indices.
        notices: what was left out or changed, and why.
        warnings: what was guessed or put aside.
        dry_run: whether nothing was written.
        rounding: how far int8 weights are from those of float32, by model, where that was measured.
    """

    source: str | Path
    output: Path
    format: str
    to: Target | Literal["web"]
    model_type: ModelType
    layout: str | None
    step: int | None
    models: Mapping[str, Mapping[str, Value]]
    parameters: Mapping[str, int]
    files: Mapping[str, int]
    notices: tuple[str, ...]
    warnings: tuple[str, ...]
    dry_run: bool
    rounding: Mapping[str, Int8Distance] = field(default_factory=dict)

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """The configuration of each model written, by transformers' names."""
        return {role: plain(values) for role, values in self.models.items()}

    @property
    def origins(self) -> dict[str, dict[str, str]]:
        """Where each value of `configs` comes from, such as weights or hparams.json."""
        return {role: origins(values) for role, values in self.models.items()}

    def __repr__(self) -> str:
        models = ", ".join(f"{role} of {count:,} parameters" for role, count in self.parameters.items())
        size = f"{counted(len(self.files), 'file')}, {sum(self.files.values()):,} bytes"
        planned = ", not written" if self.dry_run else ""
        return f"<Conversion {str(self.source)!r} -> {str(self.output)!r}: {self.to}, {models}, {size}{planned}>"


@arguments_for_options()
def convert(
    source: str | Path,
    output: str | Path,
    progress: Progress | None = None,
    *,
    model: Selection | None = None,
    to: Target | Literal["tensorflow"] | None = None,
    model_type: ModelType = "electra",
    generator: str | Path | None = None,
    hparams: Mapping[str, Any] | str | Path | None = None,
    config: str | Path | None = None,
    vocab: str | Path | None = None,
    pad_vocab: bool = False,
    cased: bool | None = None,
    uncased: bool | None = None,
    strip_accents: bool | None = None,
    tokenize_chinese_chars: bool | None = None,
    added_tokens: str | Path | Sequence[str] | None = None,
    tokenizer: bool = True,
    task: str | None = None,
    labels: str | Path | Sequence[str] | None = None,
    dtype: Rounding | None = None,
    quantize: Quantization | None = None,
    max_shard_size: int | str | None = None,
    optimizer: bool = False,
    zero_optimizer: bool = False,
    prefix: str | None = None,
    exclude: str | Sequence[str] | None = None,
    keep_custom_code: bool = False,
    allow_nonfinite: bool = False,
    verify: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    revision: str | None = None,
    token: str | None = None,
    subfolder: str | None = None,
) -> Conversion:
    """Convert an ELECTRA checkpoint into a new folder, which appears complete or not at all.

    A TensorFlow checkpoint becomes a transformers model, or a folder with a pair of them; either of these becomes a
    TensorFlow checkpoint that Google's code can load. Every tensor is accounted for, and no bit of it is changed
    unless a dtype is asked for.

    >>> result = convert("fixtures/default", "my-generator", model="generator", vocab="fixtures/vocab.txt")
    >>> result.configs["generator"]["num_attention_heads"], result.origins["generator"]["num_attention_heads"]
    (1, 'hparams.json')
    >>> sorted(result.files)
    ['config.json', 'conversion.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json', 'vocab.txt']

    Args:
        source: a TensorFlow checkpoint (folder, prefix or any of its files), a transformers model or a folder with a
            pair of them, a file of weights; or any of these on the Hub: hf://OWNER/REPO[@REVISION][/PATH].
        output: the folder to make; a pair of models gets a folder each within it. A folder of the same model gains
            ONNX models where these are asked for.
        progress: told how many bytes of how many have been read, from several threads.
        model: which model to write; by default every one there is.
        to: the container to write; by default TensorFlow from a transformers model, and safetensors from anything
            else.
        model_type: by whose names a transformers model is written: ELECTRA's, or for programs that know BERT alone
            BERT's, by which only models whose embeddings are as wide as their hidden states can go.
        generator: the generator that goes with a source that is a discriminator alone.
        hparams: what run_pretraining.py was given: a mapping, JSON, or the name of a file that holds it.
        config: a transformers config.json, to settle the head count and the activation.
        vocab: the vocabulary file, or a tokenizer's folder; by default vocab.txt beside the checkpoint.
        pad_vocab: accept a vocabulary with fewer pieces than the embeddings have rows.
        cased: whether the tokenizer keeps upper case; by default the hparams decide, or else the vocabulary.
        uncased: the opposite of cased, for those who would rather say it so.
        strip_accents: whether the tokenizer strips accents; by default whenever it lower-cases.
        tokenize_chinese_chars: whether each ideograph is a word of its own; by default it is, as in Google's code.
        added_tokens: pieces of the vocabulary that are matched whole, before a text is split: a list, or a file with
            one on each line.
        tokenizer: whether tokenizer files are written; without, vocab.txt alone is carried.
        task: of a checkpoint that Google's code fine-tuned: the task whose head is wanted, NAME or NAME=KIND where
            the name does not tell; KIND is one of those that the help of --task lists.
        labels: what its classes are called: a list, or a file with one a line; by default those of Google's code.
        dtype: round the weights to this dtype, to the nearest, ties to even.
        quantize: write a model of int8 weights beside the other (to ONNX); how far it is from that is measured where
            onnxruntime is installed.
        max_shard_size: split the weights into files of at most this size: bytes, or text such as "2GB".
        optimizer: carry over the optimiser's slots and the global step.
        zero_optimizer: write slots of zeros, so that Google's pretraining can start from it (to TensorFlow).
        prefix: what the files of a TensorFlow checkpoint are called; by default model.ckpt.
        exclude: patterns of names of tensors that are no part of a model and may go, such as "my_scope/*"; one that
            would take a tensor of a model is refused.
        keep_custom_code: carry Python code that a transformers folder has for its model or tokenizer, and the
            auto_map and custom_pipelines that name it; by default both are left out.
        allow_nonfinite: convert NaN and infinite weights rather than refuse them.
        verify: verify the result as verify does before it gets its name; write nothing if it fails.
        dry_run: say what would be written, and write nothing.
        overwrite: replace the output if it exists, as soon as the new one is complete.
        revision: of a source on the Hub: a branch, a tag or a commit, in place of @REVISION in its address.
        token: of a source on the Hub: the account's, by default what huggingface_hub finds.
        subfolder: of a source on the Hub: the folder within the repository.

    Returns:
        What was made.

    Raises:
        ElectraConvertError: nothing has been written; the message says why, and the hint what to do.
    """
    other, other_origin = (None, None) if generator is None else brought_source(generator, token=token)
    options = Options(
        model=model,
        to=read_target(to),
        model_type=model_type,
        generator=other,
        generator_origin=other_origin,
        hparams=hparams_text(hparams),
        config=read_path("config", config),
        tokenizer=TokenizerOptions(
            vocab=read_path("vocab", vocab),
            pad_vocab=pad_vocab,
            lower_case=lowers_case(cased, uncased),
            strip_accents=strip_accents,
            tokenize_chinese_chars=tokenize_chinese_chars,
            added_tokens=read_added_tokens(added_tokens),
            no_tokenizer=not tokenizer,
        ),
        task=read_task(task),
        labels=read_labels(labels),
        dtype=dtype,
        quantize=quantize,
        max_shard_size=read_size(max_shard_size),
        optimizer=optimizer,
        zero_optimizer=zero_optimizer,
        prefix=prefix,
        exclude=read_patterns(exclude),
        keep_custom_code=keep_custom_code,
        allow_nonfinite=allow_nonfinite,
        verify=verify,
        dry_run=dry_run,
        overwrite=overwrite,
    )
    return run_conversion(as_source(source, revision, token, subfolder), Path(output), options, progress, token)


def run_conversion(
    pointed_at: str | Path,
    output: Path,
    options: Options,
    progress: Progress | None = None,
    token: str | None = None,
) -> Conversion:
    """Convert an ELECTRA checkpoint, with the options already in one place."""
    source, origin = brought_source(pointed_at, token=token, code=options.keep_custom_code)
    return convert_brought(source, origin, pointed_at, output, options, progress)


def convert_brought(
    source: Path,
    origin: Origin | None,
    pointed_at: str | Path,
    output: Path,
    options: Options,
    progress: Progress | None = None,
) -> Conversion:
    """Convert what is here already, and where on the Hub it lay, with the options already in one place."""
    with ExitStack() as stack:
        checkpoint = stack.enter_context(open_path(source, options.generator, options.task, options.exclude))
        parts = separate_parts(stack, source, checkpoint, options)
        target: Target = options.to or ("safetensors" if options.family is not ELECTRA else checkpoint.scheme.target)
        options.check(target)
        if target == "onnx" and (there := models_there(stack, output, choose_roles(checkpoint, options.model))):
            return _add(pointed_at, output, checkpoint, there, options, progress)
        read = [opened.path for opened in checkpoint.sources]
        check_target(output, source, options.overwrite, [*read, *options.inputs])
        checkpoint.require_mapped()
        planned = {name: plan_part(part, source, origin, target, options) for name, part in parts.items()}
        plan = merged({name: plan for name, (plan, _, _) in planned.items()})
        files = plan.sizes
        measured = Measured({}, [])
        written = {
            name or role: (
                PurePosixPath(name, role if len(roles) > 1 else ""),
                parts[name].models[role],
                findings.configs[role].values,
            )
            for name, (_, findings, roles) in planned.items()
            for role in roles
        }
        if not options.dry_run:

            def inspect(folder: Path) -> None:
                if options.verify:
                    _verify(source, origin, pointed_at, output, options, folder)
                for name, (place, model, _) in written.items() if options.quantize else ():
                    own = folder / place
                    measured.measure(name, model, own / ONNX_FOLDER, own, own / CONVERSION_FILE, options)

            with naming(source):
                files = write(plan, output, options.overwrite, not options.allow_nonfinite, progress, inspect)
        found = [line for _, findings, _ in planned.values() for line in findings.warnings]
        return Conversion(
            source=pointed_at,
            output=output,
            format=checkpoint.format,
            to=target,
            model_type=options.model_type,
            layout=checkpoint.layout.name if checkpoint.layout else None,
            step=checkpoint.step,
            models={name: values for name, (_, _, values) in written.items()},
            parameters={name: model.parameters for name, (_, model, _) in written.items()},
            files=files,
            notices=plan.notices,
            warnings=tuple(dict.fromkeys([*found, *plan.warnings, *measured.warnings])),
            dry_run=options.dry_run,
            rounding=measured.rounding,
        )


def _add(
    pointed_at: str | Path,
    output: Path,
    checkpoint: Checkpoint,
    there: Mapping[Role, Checkpoint],
    options: Options,
    progress: Progress | None,
) -> Conversion:
    """Add ONNX models to the folder of the same model, or to those of a pair."""
    if options.verify:
        raise UsageError(
            f"--verify looks at a folder before it gets its name, and {output} is there already",
            "Leave --verify out, and hold the folder to its source afterwards: verify SOURCE OUTPUT --save.",
        )
    checkpoint.require_mapped()
    findings = gather(checkpoint, options.hparams, options.config, tuple(there))
    with naming(checkpoint.path):
        planned = plan_additions(checkpoint, findings, there, options)
        sizes, measured = add(planned, options, progress)
    return Conversion(
        source=pointed_at,
        output=output,
        format=checkpoint.format,
        to="onnx",
        model_type=options.model_type,
        layout=checkpoint.layout.name if checkpoint.layout else None,
        step=checkpoint.step,
        models={one.model.role: one.values for one in planned},
        parameters={one.model.role: one.model.parameters for one in planned},
        files={str(path.relative_to(output)): size for path, size in sizes.items()},
        notices=(f"{output} holds this model already: ONNX is added, and nothing else is changed.",),
        warnings=tuple(dict.fromkeys([*findings.warnings, *measured.warnings])),
        dry_run=options.dry_run,
        rounding=measured.rounding,
    )


def _verify(
    opened: Path, origin: Origin | None, source: str | Path, output: Path, options: Options, folder: Path
) -> None:
    """Refuse what was written unless it is the same as the source, and keep the report beside every model."""
    from electra_convert.verification.sides import Place
    from electra_convert.verification.verify import Checks, run_verification

    name = None if isinstance(source, Path) else source
    reference = Place(
        opened,
        name,
        options.generator,
        options.hparams,
        options.config,
        options.labels,
        options.task,
        options.exclude,
        origin,
    )
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
