"""Hparams that are no settings of the training: obeyed as options, refused with what to use, or told to be moot.

Of all keys of configure_pretraining.py and configure_finetuning.py none is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from electra_convert.config.hparams import Hparams
from electra_convert.config.keys import SPELT_OUT
from electra_convert.errors import ConfigError, UsageError, listing
from electra_convert.hub.download import local_source
from electra_convert.pretraining.options import PretrainOptions, shown

# Keys of places, which the command's arguments say.
_PLACES: Mapping[str, str] = {
    "data_dir": "CORPUS and OUTPUT",
    "pretrain_tfrecords": "CORPUS",
    "model_name": "OUTPUT",
    "model_dir": "OUTPUT",
    "results_txt": "OUTPUT, whose metrics.jsonl has the results",
    "results_pkl": "OUTPUT, whose metrics.jsonl has the results",
}
# Keys about TPUs, which decide nothing without one.
_MACHINES = frozenset("iterations_per_loop use_tpu num_tpu_cores tpu_job_name tpu_name tpu_zone gcp_project".split())
# Keys of fine-tuning, with what to use instead where there is something.
_FINE_TUNING: Mapping[str, str | None] = {
    "num_train_epochs": "Give --epochs, or num_train_steps (--steps).",
    "warmup_proportion": "Give num_warmup_steps (--warmup-steps), a number of steps.",
    "layerwise_lr_decay": "All layers learn at the learning_rate here; leave it out.",
    "predict_batch_size": "The batches of an evaluation are of eval_batch_size.",
    "raw_data_dir": "What is trained on is CORPUS.",
    "preprocessed_data_dir": "What is tokenised is kept in --cache.",
    "use_tfrecords_if_existing": "What is tokenised is kept in --cache, and used again.",
    "num_trials": "Each run is one of its own, with its own --seed and OUTPUT.",
    "keep_all_models": "keep_checkpoint_max says how many checkpoints are kept; 0 keeps all.",
    **dict.fromkeys(
        "log_examples task_names write_test_outputs write_distill_outputs n_writes_test double_unordered "
        "max_query_length doc_stride n_best_size max_answer_length answerable_classifier "
        "answerable_uses_start_logits answerable_weight joint_prediction beam_size qa_na_threshold qa_eval_file "
        "qa_preds_file qa_na_file test_predictions".split()
    ),
}


def obeyed(options: PretrainOptions) -> tuple[PretrainOptions, tuple[str, ...]]:
    """Have hparams that stand for options be these options.

    Args:
        options: as they were given.

    Returns:
        The options with what the hparams say where no option said otherwise, and a note for each way in which an
        option or an argument decides instead of an hparam.

    Raises:
        ConfigError: an hparam is one of fine-tuning, or of a machine that is not there.
        UsageError: nothing would be trained or evaluated, or what they ask for does not go together.
    """
    stated = options.stated_hparams
    _refuse(stated)
    notes = [*_overridden(stated, options)]
    if options.epochs is not None and "num_train_steps" in stated.given:
        steps = shown(stated.given["num_train_steps"])
        notes.append(f"{stated.origin} says num_train_steps is {steps}; --epochs is what counts.")
    for key, obey in _RULES.items():
        if key in stated.given and stated.given[key] is not None:
            options, note = obey(options, stated.given[key], stated.origin)
            notes += [note] if note else []
    if options.evaluate_only and not options.held_out_share and options.eval_corpus is None:
        raise UsageError(
            f"{stated.origin}: do_train is false, and nothing is held out to evaluate on",
            "Give do_eval true, --held-out or --eval-corpus; or train.",
        )
    return options, (*notes, *_moot(stated))


def _refuse(stated: Hparams) -> None:
    for key in stated.given:
        if key in _FINE_TUNING:
            raise ConfigError(
                f"{stated.origin}: {key} is an hparam of fine-tuning, not of pretraining",
                _FINE_TUNING[key] or "Leave it out; it would change nothing here.",
            )
    if _switch(stated.given.get("use_tpu")):
        raise ConfigError(
            f"{stated.origin}: use_tpu is true; this runs on GPUs and processors", "Leave it out, or make it false."
        )


def _overridden(stated: Hparams, options: PretrainOptions) -> list[str]:
    return [
        f"{stated.origin} says {key} is {shown(stated.given[key])}; {flag} {shown(value)} is what counts."
        for flag, key, value in options.shortcuts
        if stated.given.get(key, value) != value
    ]


def _moot(stated: Hparams) -> list[str]:
    """What is said of keys that decide nothing: a note about places, and one about machines."""
    places = [key for key in stated.given if key in _PLACES]
    machines = [key for key in stated.given if key in _MACHINES]
    told = []
    if places:
        instead = listing(dict.fromkeys(_PLACES[key] for key in places))
        told.append(f"{stated.origin} says {listing(places)}; what counts is {instead}.")
    if machines:
        told.append(f"{stated.origin} says {listing(machines)}, which is about TPUs and decides nothing here.")
    return told


# What is obeyed


def _switch(value: object) -> bool:
    return SPELT_OUT.get(value.lower(), bool(value)) if isinstance(value, str) else bool(value)


Obeyed = tuple[PretrainOptions, str | None]


def _init_checkpoint(options: PretrainOptions, value: Any, origin: str) -> Obeyed:  # noqa: ANN401 - JSON values
    if options.init_from is not None:
        return options, f"{origin} says init_checkpoint is {shown(value)}; --init-from is what counts."
    return replace(options, init_from=local_source(_text("init_checkpoint", value, origin))), None


def _vocab_file(options: PretrainOptions, value: Any, origin: str) -> Obeyed:  # noqa: ANN401 - JSON values
    given = "--vocab" if options.vocab is not None else "--train-vocab" if options.train_vocab is not None else None
    if given:
        return options, f"{origin} says vocab_file is {shown(value)}; {given} is what counts."
    return replace(options, vocab=Path(_text("vocab_file", value, origin))), None


def _do_train(options: PretrainOptions, value: Any, origin: str) -> Obeyed:  # noqa: ANN401 - JSON values
    if _switch(value):
        return options, None
    told = f"{origin} says do_train is false: what there is is evaluated, and nothing is trained."
    return replace(options, evaluate_only=True), told


def _do_eval(options: PretrainOptions, value: Any, origin: str) -> Obeyed:  # noqa: ANN401 - JSON values
    if _switch(value):
        return options, None
    if options.held_out is not None or options.eval_corpus is not None:
        given = "--held-out" if options.eval_corpus is None else "--eval-corpus"
        return options, f"{origin} says do_eval is false; {given} is what counts."
    told = f"{origin} says do_eval is false, as --held-out 0 does."
    return replace(options, held_out=0.0), told


def _text(key: str, value: object, origin: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise ConfigError(f"{origin}: {key} is {shown(value)}, expected a path")


_RULES: Mapping[str, Callable[[PretrainOptions, Any, str], Obeyed]] = {
    "init_checkpoint": _init_checkpoint,
    "vocab_file": _vocab_file,
    "do_train": _do_train,
    "do_eval": _do_eval,
}
