"""pretrain, as Python calls it: the keywords become one set of options, and what is told is said of arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from electra_convert.conversion.options import lowers_case, read_added_tokens, read_path, read_size
from electra_convert.errors import arguments_for_options, warn_caller, with_arguments
from electra_convert.hub.download import as_source, local_source
from electra_convert.pretraining.corpus.places import as_places
from electra_convert.pretraining.options import ModelSize, Precision, PretrainOptions, exports_tensorflow
from electra_convert.pretraining.pauses import read_duration
from electra_convert.pretraining.progress import Relay, Reporter, default_reporter
from electra_convert.pretraining.run import Pretraining, run_pretraining


@arguments_for_options()
def pretrain(
    corpus: str | Path | Sequence[str | Path] | Iterable[str],
    output: str | Path,
    reporter: Reporter | None = None,
    *,
    vocab: str | Path | None = None,
    train_vocab: int | None = None,
    cased: bool | None = None,
    uncased: bool | None = None,
    strip_accents: bool | None = None,
    tokenize_chinese_chars: bool | None = None,
    added_tokens: str | Path | Sequence[str] | None = None,
    tokenizer: str | Path | None = None,
    words_file: str | Path | None = None,
    text_column: str | int | None = None,
    one_sentence_per_line: bool = False,
    split_long_lines: bool = False,
    model_size: ModelSize | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    warmup_steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    max_length: int | None = None,
    save_steps: int | None = None,
    hparams: str | Path | Mapping[str, Any] | None = None,
    generator: str | Path | Mapping[str, Any] | None = None,
    discriminator: str | Path | Mapping[str, Any] | None = None,
    init_from: str | Path | None = None,
    init_generator: str | Path | None = None,
    extend_vocabulary: str | Path | None = None,
    extend_positions: int | None = None,
    reset_optimizer: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    export: Literal["tf", "tensorflow"] | None = None,
    seed: int = 0,
    held_out: float | None = None,
    eval_corpus: str | Path | None = None,
    accumulate: int = 1,
    memory_limit: int | str | None = None,
    precision: Precision = "float32",
    compile: bool = False,
    evaluate_only: bool = False,
    time_limit: float | str | None = None,
    log_steps: int = 20,
    cache: str | Path | None = None,
) -> Pretraining:
    """Pretrain an ELECTRA generator and discriminator.

    >>> from electra_convert import pretrain
    >>> tiny = {"model_hparam_overrides": {"hidden_size": 64, "num_hidden_layers": 3}, "generator_layers": 0.34}
    >>> run = pretrain("fixtures/corpus", "my-electra", vocab="fixtures/vocab.txt", steps=4, warmup_steps=2,
    ...     batch_size=4, max_length=64, hparams=tiny, cache="cache")
    >>> run
    <Pretraining 'my-electra/model': step 4, masked_lm_loss ..., disc_auc ...>
    >>> run.notes[0]
    'The corpus has ... tokens in ... sequences.'

    Args:
        corpus: files of text, JSON lines, CSV, TSV, Parquet or TFRecords of google-research/electra, folders of them,
            hf://datasets/OWNER/NAME; or documents: a text each, from anything that can be iterated over. A list is of
            documents where none of its texts is the name of a file, and one has a space in it.
        output: the folder of the run, with its checkpoints, reports and models.
        reporter: told how the run goes; by default a display in a notebook, and nobody elsewhere.
        vocab: a vocab.txt, or a tokenizer's folder, to borrow the vocabulary of.
        train_vocab: train a vocabulary of so many tokens on the corpus.
        cased: whether the tokenizer keeps upper case; by default the hparams decide, or else the vocabulary.
        uncased: the opposite of cased, for those who would rather say it so.
        strip_accents: whether the tokenizer strips accents; by default whenever it lower-cases.
        tokenize_chinese_chars: whether each ideograph is a word of its own; by default it is, as in Google's code.
        added_tokens: pieces of the vocabulary that are matched whole: a list, or a file with one on each line.
        tokenizer: "wordpiece", the default; "whitespace", each word between spaces a token; "characters"; or the
            folder of a tokenizer of any kind, which is taken as it is.
        words_file: a file with a word on each line, of a script without spaces, for the hparam whole_word_masking.
        text_column: the column of JSON lines, CSV, TSV and Parquet that holds the text: a name, or a number from 1
            where there is no header.
        one_sentence_per_line: blank lines and rows end no document.
        split_long_lines: split lines that are longer than a sequence, so that no text is cut off.
        model_size: the discriminator's size; small by default.
        steps: the length of the whole run in optimiser steps; 1,000,000 by default.
        epochs: the length of the whole run in passes over the corpus, in place of steps; may be a fraction.
        warmup_steps: the length of the warm-up in steps; 10,000 by default.
        batch_size: sequences a step, in all processes together; 128 by default.
        learning_rate: the highest rate; by default the paper's: 0.0005 for small models, 0.0002 for larger ones.
        max_length: tokens a sequence, special ones included; 128 by default.
        save_steps: steps from one checkpoint to the next; 1,000 by default.
        hparams: all hparams of run_pretraining.py: a dictionary, JSON, or a file that holds it.
        generator: the generator's configuration: a config.json of transformers, of any architecture that has a masked
            language model, or sizes such as {"embedding_size": 128, "hidden_size": 64, "num_hidden_layers": 12}.
        discriminator: the discriminator's, of any architecture that has an encoder.
        init_from: a checkpoint to start from, hf:// addresses included; one with optimiser slots is continued.
        init_generator: a generator to go with the discriminator, or encoder, that init_from is.
        extend_vocabulary: a file of new pieces, or a longer vocabulary, for which rows are added to init_from's.
        extend_positions: how many positions init_from is to have; sequences are as long unless max_length says else.
        reset_optimizer: take only the weights of init_from, and begin a new schedule.
        resume: continue the run in output from its last good checkpoint.
        overwrite: replace the run in output.
        export: "tf" to write a TensorFlow checkpoint too, with slots and step.
        seed: what all random numbers follow from.
        held_out: the share of sequences held out for evaluation, from 0 up and below 1; 0.01 by default, and 0 with
            eval_corpus.
        eval_corpus: another corpus to evaluate on.
        accumulate: compute each batch in so many parts, to take less memory.
        memory_limit: compute each batch in as many parts as keep a process below this: bytes, or text such as "2GB".
        precision: of matrix products; weights and optimiser stay float32.
        compile: compile the model with torch.compile.
        evaluate_only: train nothing, and evaluate what init_from or resume finds.
        time_limit: save the run and end after this long: seconds, or text such as "2h"; resume continues it.
        log_steps: steps from one report of the losses to the next.
        cache: the folder of tokenised corpora; by default in the user's cache folder.

    Returns:
        What was left behind. Warnings are in it, and issued as ElectraWarning when they arise.

    Raises:
        ElectraConvertError: the message says why; a run that had begun can be resumed from its last checkpoint.
    """
    options = PretrainOptions(
        hparams=hparams,
        generator=generator,
        discriminator=discriminator,
        model_size=model_size,
        steps=steps,
        epochs=epochs,
        warmup_steps=warmup_steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        save_steps=save_steps,
        vocab=None if vocab is None else Path(vocab),
        train_vocab=train_vocab,
        lower_case=lowers_case(cased, uncased),
        strip_accents=strip_accents,
        tokenize_chinese_chars=tokenize_chinese_chars,
        added_tokens=read_added_tokens(added_tokens),
        tokenizer=tokenizer,
        words_file=read_path("words-file", words_file),
        text_column=text_column,
        one_sentence_per_line=one_sentence_per_line,
        split_long_lines=split_long_lines,
        init_from=None if init_from is None else local_source(init_from),
        init_generator=None if init_generator is None else local_source(init_generator),
        extend_vocabulary=None if extend_vocabulary is None else Path(extend_vocabulary),
        extend_positions=extend_positions,
        reset_optimizer=reset_optimizer,
        resume=resume,
        overwrite=overwrite,
        seed=seed,
        held_out=held_out,
        eval_corpus=None if eval_corpus is None else as_source(eval_corpus),
        accumulate=accumulate,
        memory_limit=read_size(memory_limit),
        precision=precision,
        compile=compile,
        evaluate_only=evaluate_only,
        time_limit=read_duration(time_limit),
        log_steps=log_steps,
        export_tf=exports_tensorflow(export),
        cache=None if cache is None else Path(cache),
    )
    told = _Warning(reporter or default_reporter())
    result = run_pretraining(as_places(corpus), Path(output), options, told)
    notes, warnings = (tuple(map(with_arguments, lines)) for lines in (result.notes, result.warnings))
    return replace(result, notes=notes, warnings=warnings)


class _Warning(Relay):
    """Issues what a reporter is warned of as Python's warnings too."""

    def noticed(self, line: str) -> None:
        """Tell it, of arguments where it speaks of options."""
        super().noticed(with_arguments(line))

    def warned(self, line: str) -> None:
        """Tell it likewise, and point at the line that called pretrain."""
        super().warned(with_arguments(line))
        warn_caller(line)
