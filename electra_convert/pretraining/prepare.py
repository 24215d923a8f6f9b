"""All that is decided of a run before anything is trained: its hparams, its models, its vocabulary, its corpus.

Imports no framework, and writes nothing but the cache of the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from electra_convert.config.express import check_expressible
from electra_convert.config.hparams import Hparams
from electra_convert.config.keys import OWN
from electra_convert.errors import CorpusError, TrainingError, UsageError, counted
from electra_convert.pretraining.batches import held_apart, share_in_long_words
from electra_convert.pretraining.choosing import Chosen, check_models, new_models, started_models, with_origins
from electra_convert.pretraining.corpus.cache import Corpus, accept, default_cache, open_corpus, require_usable
from electra_convert.pretraining.corpus.files import parse_column
from electra_convert.pretraining.corpus.places import Place, brought
from electra_convert.pretraining.corpus.remarks import MANY_UNKNOWN, tell_of_corpus, tell_of_order
from electra_convert.pretraining.corpus.sequences import Tokenisation
from electra_convert.pretraining.corpus.vocabulary import Pieces
from electra_convert.pretraining.corpus.whole_words import Words, read_words
from electra_convert.pretraining.designs import Design
from electra_convert.pretraining.options import PretrainOptions, Settings, training_settings
from electra_convert.pretraining.preparation import Decided, Preparation
from electra_convert.pretraining.progress import Reporter
from electra_convert.pretraining.schedule import scheduled, tell_of_schedule
from electra_convert.pretraining.starting.models import run_hparams
from electra_convert.pretraining.starting.start import Start
from electra_convert.pretraining.tokens import lacking_of, require_vocabulary
from electra_convert.schemes.mapping import Role

# Words that can never be masked as a whole, where they are more than this share, are most likely none.
_MOSTLY_LONG = 0.5


def prepare(
    places: Sequence[Place],
    options: PretrainOptions,
    start: Start | None,
    decided: Decided | None,
    reporter: Reporter,
) -> Preparation:
    """Decide on a run.

    Args:
        places: the corpus.
        options: what was asked for; hparams that they leave out are those of the run that the checkpoint is of.
        start: what was opened for the run to begin with, or None.
        decided: what the run in the output was begun with, or None.
        reporter: told how the corpus is tokenised, and what else a reader should know.

    Raises:
        ElectraConvertError: something does not fit; nothing has been written.
    """
    given = options.given_hparams
    hparams = _with_own(run_hparams(given, start, decided.hparams if decided else None))
    settings = training_settings(hparams)
    designs = options.designs or (decided.designs if decided else {})
    cache, column = options.cache or default_cache(), parse_column(options.text_column)
    if decided is None:
        require_vocabulary(hparams, options, start is not None)
    words = _words(hparams, options, decided)
    # What is not there is told before hours of tokenising.
    other_places = [] if options.eval_corpus is None else [options.eval_corpus]
    with (
        brought(places, column, cache, reporter) as files,
        brought(other_places, column, cache, reporter) as other_files,
    ):
        if start is not None:
            chosen = started_models(start, given, hparams, decided, options, reporter)
        else:
            chosen = new_models(files, hparams, designs, decided, options)
        _require_trainable(chosen, settings, designs, options)
        how = Tokenisation(
            chosen.pieces, settings.max_seq_length, not options.one_sentence_per_line, options.split_long_lines, words
        )
        # A run that is resumed has the sequences it began with, however little they are of the text.
        check = partial(require_usable, chosen.pieces) if decided is None else accept
        corpus = open_corpus(files, how, cache, reporter.tokenised, check)
        _require_sequence(corpus, how)
        if words is not None:
            _require_words(corpus, chosen.pieces, settings, words, reporter)
        evaluated = open_corpus(other_files, how, cache, reporter.tokenised, check) if other_files else None
    return _scheduled(chosen, settings, corpus, evaluated, words, decided, options, reporter)


def _require_trainable(
    chosen: Chosen, settings: Settings, designs: Mapping[Role, Design], options: PretrainOptions
) -> None:
    """Refuse models before hours of tokenising that could not be trained, or not be written at the end of a run."""
    if not designs:
        check_models(settings, chosen.findings, chosen.start)
    if options.export_tf:
        check_expressible(chosen.findings.configs, chosen.layout)


def _scheduled(
    chosen: Chosen,
    settings: Settings,
    corpus: Corpus,
    evaluated: Corpus | None,
    words: Words | None,
    decided: Decided | None,
    options: PretrainOptions,
    reporter: Reporter,
) -> Preparation:
    """Give the run its schedule, which follows from the length of the corpus, and tell what a reader should know."""
    given, findings = options.given_hparams, chosen.findings
    if decided is not None:
        findings = with_origins(findings, decided.origins)
    begins = decided is None and _begins_anew(chosen.start, options)
    trained_on = len(corpus) - held_apart(len(corpus), options.held_out_share)
    findings = scheduled(findings, settings, options, trained_on, begins)
    assert findings.hparams is not None
    settings = training_settings(findings.hparams)
    preparation = Preparation(
        settings, chosen.layout, findings, chosen.pieces, corpus, chosen.start, chosen.new_pieces, evaluated, words
    )
    _tell(preparation, given, options, reporter)
    if not options.evaluate_only:
        tell_of_schedule(settings, findings, given, options, trained_on, reporter)
    return preparation


def _begins_anew(start: Start | None, options: PretrainOptions) -> bool:
    """Whether a run has a schedule of its own, and does not go on with another's."""
    return start is None or options.reset_optimizer or start.checkpoint.slot_state == "none"


def _require_sequence(corpus: Corpus, how: Tokenisation) -> None:
    if (tokens := corpus.record.tokens) < how.max_length:
        raise CorpusError(
            f"the corpus has {tokens} tokens, less than one sequence of {how.max_length}",
            "Give more text, or a shorter max_seq_length in --hparams.",
        )


def _require_words(corpus: Corpus, pieces: Pieces, settings: Settings, words: Words, reporter: Reporter) -> None:
    """Refuse to mask whole words where most are too long to be, as where nothing tells them apart.

    Raises:
        CorpusError: most of the corpus would never be masked.
    """
    share = share_in_long_words(corpus, pieces.special_ids, settings)
    told = f"{share:.0%} of the tokens stand in words of more tokens than are masked of a sequence, and never are"
    instead = f"separate words by spaces{'' if words.listed else ', or list them with --words-file FILE'}"
    if share > _MOSTLY_LONG:
        raise CorpusError(
            f"whole_word_masking: {told}", f"Of a script without spaces, {instead}; or leave whole_word_masking out."
        )
    if share > MANY_UNKNOWN:
        reporter.warned(f"{told}. Of a script without spaces, {instead}.")


def _with_own(hparams: Hparams) -> Hparams:
    """State those that Google's code does not know: where a record does not name them, it is older than they are."""
    return replace(hparams, given={**hparams.given, **{key: hparams[key] for key in OWN}})


def _words(hparams: Hparams, options: PretrainOptions, decided: Decided | None) -> Words | None:
    """What words are, where whole ones are masked.

    Raises:
        UsageError: words are listed, and none is masked as a whole.
        VocabularyError: the list is none.
    """
    if not hparams["whole_word_masking"]:
        if options.words_file is not None:
            raise UsageError(
                "--words-file lists the words that are masked as a whole, and whole_word_masking is not true",
                "Give --hparams '{\"whole_word_masking\": true}' with it.",
            )
        return None
    known = decided.words if decided is not None else None
    if options.words_file is None:
        return known or Words()
    given = read_words(options.words_file)
    if known is not None and known.listed != given.listed:
        raise TrainingError(f"{options.words_file} does not list the words that the run began with", "Leave it out.")
    return known or given


# What a reader should know


def _tell(preparation: Preparation, given: Hparams, options: PretrainOptions, reporter: Reporter) -> None:
    if options.export_tf and (told := lacking_of(preparation.pieces)) is not None:
        reporter.noticed(told)
    for line in preparation.start.told if preparation.start else ():
        reporter.noticed(line)
    for line in (*given.warnings, *preparation.findings.warnings, *preparation.pieces.warnings):
        reporter.warned(line)
    for line in preparation.pieces.notices:
        reporter.noticed(line)
    if preparation.evaluated is None and not options.held_out_share:
        reporter.noticed(
            "Nothing is held out, so that nothing tells whether the discriminator learns; --held-out 0.01 would."
        )
    for line in _stated_sizes(preparation):
        reporter.noticed(line)
    packs = options.one_sentence_per_line
    tell_of_corpus("The corpus", preparation.corpus, preparation.pieces, packs, reporter)
    if preparation.evaluated is not None:
        tell_of_corpus("The corpus to evaluate on", preparation.evaluated, preparation.pieces, packs, reporter)
    if preparation.start and not preparation.start.is_own:
        _tell_of_rows(preparation, options, reporter)
    if preparation.settings.sampled_softmax:
        tell_of_order(preparation.corpus, preparation.pieces, reporter)


def _stated_sizes(preparation: Preparation) -> Iterator[str]:
    """A config.json states the size of another vocabulary than the one that new models are made for."""
    size = len(preparation.pieces.vocabulary)
    for role, design in preparation.designs.items():
        stated = design.get("vocab_size", size)
        if stated != size:
            yield f"The vocabulary has {size:,} pieces, and so have the models; --{role} states {stated:,}."


def _tell_of_rows(preparation: Preparation, options: PretrainOptions, reporter: Reporter) -> None:
    """Warn of new rows that nothing trains."""
    new, length = preparation.new_pieces, preparation.settings.max_seq_length
    absent = new - preparation.corpus.occurring(len(preparation.pieces.vocabulary) - new) if new else 0
    if absent:
        reporter.warned(f"Of {counted(new, 'new piece')} {absent} occur nowhere in the corpus, and learn nothing.")
    if options.extend_positions is not None and length < options.extend_positions:
        reporter.warned(
            f"Sequences are {length} tokens long, so that the positions from {length} up to "
            f"{options.extend_positions - 1} learn nothing: --max-length makes sequences longer."
        )
