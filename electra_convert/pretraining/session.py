"""One run in one process: its parts put together in their order, and its files written by the first process alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch

from electra_convert.checkpoint import Checkpoint, open_path
from electra_convert.errors import ConfigError, TrainingError
from electra_convert.frameworks import import_accelerate
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.outputs.checkpoints import last_step, latest
from electra_convert.pretraining.outputs.exchange import Trained, restore_moments, restore_weights
from electra_convert.pretraining.outputs.files import CHECKPOINTS, RunFiles
from electra_convert.pretraining.outputs.place import begun, identity
from electra_convert.pretraining.outputs.records import (
    Pretraining,
    changed,
    locked,
    read_run,
    require_same,
    require_same_tokenizer,
    write_run,
)
from electra_convert.pretraining.preparation import Decided, Preparation, described, prepare
from electra_convert.pretraining.reporting import Reporter, Silent
from electra_convert.pretraining.training.batches import Batches, weights_seed
from electra_convert.pretraining.training.dropout import ATTENTION
from electra_convert.pretraining.training.initial import initialise
from electra_convert.pretraining.training.loop import Hooks, train
from electra_convert.pretraining.training.model import Electra, make_networks
from electra_convert.pretraining.training.optimizer import make_optimizer

_PATIENCE = timedelta(days=2)


def run_session(places: Sequence[Path], output: Path, options: PretrainOptions, reporter: Reporter) -> Pretraining:
    """Run to the end.

    Args:
        places: the corpus.
        output: the folder of the run; what stands there has been looked at.
        options: what was asked for.
        reporter: told how the run goes, in the first process.

    Returns:
        What was left behind.

    Raises:
        ElectraConvertError: as pretrain.
    """
    accelerator = _accelerator(options)
    reporter = reporter if accelerator.is_main_process else Silent()
    with ExitStack() as stack:
        saved, notices = latest(output / CHECKPOINTS) if options.resume else (None, [])
        for line in notices:
            reporter.noticed(line)
        source = saved.models if saved else options.init_from
        start = stack.enter_context(open_path(source)) if source else None
        standing = identity(output) if options.overwrite else None
        if options.resume and accelerator.is_main_process:
            stack.enter_context(locked(output))
        # Nothing is written before all is known to fit; the other processes read what the first one writes.
        with accelerator.main_process_first():
            preparation = _prepared(places, output, options, start, reporter, accelerator)
            _check_split(preparation, options, accelerator)
            trained = _trained(preparation, options, accelerator)
            step = _begun(trained, start, saved is not None, preparation, options, reporter)
            new = None
            if accelerator.is_main_process and not options.resume:
                how = _computed(options, accelerator)
                fill = partial(_write_run, preparation=preparation, options=options, computed=how)
                new = stack.enter_context(begun(output, standing, fill))
        files = RunFiles(output, trained, preparation, options, accelerator, reporter, new)
        files.open(step)
        with _interruption_told(output):
            train(
                Electra(trained.networks, preparation.settings),
                trained.optimizer,
                _batches(preparation, options),
                preparation.settings,
                accelerator,
                Hooks(files.report, files.evaluated, files.save),
                start=step,
                pending=saved.pending if saved else [],
                seed=options.seed,
                parts=options.accumulate,
                log_steps=options.log_steps,
                compiled=options.compile,
            )
        return files.finish()


@contextmanager
def _interruption_told(output: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        last = last_step(output / CHECKPOINTS)
        kept = "The run had no checkpoint yet." if last is None else f"--resume continues the run from step {last}."
        interrupt.add_note(kept)
        raise


def _accelerator(options: PretrainOptions) -> Any:  # noqa: ANN401 - accelerate.Accelerator
    accelerate = import_accelerate("to pretrain")
    distributed = accelerate.DistributedDataParallelKwargs(gradient_as_bucket_view=True)
    # The others wait for the first process while it tokenises; their patience ends after minutes by default.
    patience = accelerate.InitProcessGroupKwargs(timeout=_PATIENCE)
    # Of a run before in the same process, whose precision may have been another.
    accelerate.state.AcceleratorState._reset_state()
    # Accumulating and compiling are options here; what accelerate's environment says of them would come on top.
    accelerator = accelerate.Accelerator(
        mixed_precision="bf16" if options.precision == "bfloat16" else "no",
        gradient_accumulation_plugin=accelerate.utils.GradientAccumulationPlugin(num_steps=1),
        dynamo_backend="no",
        kwargs_handlers=[distributed, patience],
    )
    require_whole_copies(accelerator.distributed_type.value)
    return accelerator


def require_whole_copies(distribution: str) -> None:
    """Refuse ways of distributing a run in which a process does not hold all weights, or computes by other steps.

    Args:
        distribution: accelerate's DistributedType.

    Raises:
        ConfigError: it is none that is supported.
    """
    if distribution != "NO" and not distribution.startswith("MULTI_"):
        raise ConfigError(
            f"accelerate is configured for {distribution}; here every process trains a copy of the whole models",
            "Choose multi-GPU in `accelerate config`, or give `accelerate launch --multi_gpu`.",
        )


def _prepared(
    places: Sequence[Path],
    output: Path,
    options: PretrainOptions,
    start: Checkpoint | None,
    reporter: Reporter,
    accelerator: Any,  # noqa: ANN401
) -> Preparation:
    """The first process decides on a new run and writes it down; the others, and a resumed run, read it there."""
    if accelerator.is_main_process and not options.resume:
        return prepare(places, options, start, None, reporter)
    record, pieces = read_run(output)
    if options.resume:
        require_same_tokenizer(record, pieces, options)
        for line in changed(record, _computed(options, accelerator)):
            reporter.noticed(line)
    decided = Decided(pieces, record["hparams"], record["origins"])
    preparation = prepare(places, options, start, decided, reporter)
    require_same(record, described(preparation, options), _hparams(preparation))
    return preparation


def _write_run(folder: Path, preparation: Preparation, options: PretrainOptions, computed: Mapping[str, Any]) -> None:
    origins = {
        role: {key: value.origin for key, value in config.values.items()}
        for role, config in preparation.findings.configs.items()
    }
    what = {**described(preparation, options), "train_vocab": options.train_vocab, "origins": origins}
    write_run(folder, what, _hparams(preparation), preparation.pieces, computed)


def _computed(options: PretrainOptions, accelerator: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "accumulate": options.accumulate,
        "compile": options.compile,
        "processes": accelerator.num_processes,
        "device": accelerator.device.type,
        "threads": torch.get_num_threads(),
    }


def _batches(preparation: Preparation, options: PretrainOptions) -> Batches:
    ids = preparation.pieces.vocabulary.ids
    return Batches(preparation.corpus, ids, preparation.settings, options.seed, options.held_out)


def _hparams(preparation: Preparation) -> dict[str, Any]:
    hparams = preparation.findings.hparams
    return dict(hparams.given) if hparams else {}


def _check_split(preparation: Preparation, options: PretrainOptions, accelerator: Any) -> None:  # noqa: ANN401
    size, parts = preparation.settings.train_batch_size, accelerator.num_processes * options.accumulate
    if size % parts:
        raise ConfigError(
            f"a batch of {size} sequences cannot be split evenly among {accelerator.num_processes} processes with "
            f"{options.accumulate} parts each",
            f"train_batch_size counts the sequences of all processes; make it a multiple of {parts}.",
        )


def _trained(preparation: Preparation, options: PretrainOptions, accelerator: Any) -> Trained:  # noqa: ANN401
    own_dropout = accelerator.device.type == "cpu" and not options.compile
    networks = make_networks(preparation.configs, preparation.layout, ATTENTION if own_dropout else "sdpa")
    for network in networks.values():
        network.to(accelerator.device)
    named = {f"{role}.{name}": one for role, network in networks.items() for name, one in network.named_parameters()}
    once = {id(parameter): (name, parameter) for name, parameter in reversed(named.items())}
    optimizer = make_optimizer(dict(reversed(once.values())), preparation.settings.weight_decay_rate)
    return Trained(networks, optimizer, preparation.layout, preparation.findings)


def _begun(
    trained: Trained,
    start: Checkpoint | None,
    resumed: bool,
    preparation: Preparation,
    options: PretrainOptions,
    reporter: Reporter,
) -> int:
    """Give the networks the weights that they begin with, and tell the step that they are at."""
    if start is None:
        initialise(trained.networks, weights_seed(options.seed))
        return 0
    restore_weights(start, trained.networks)
    if not resumed and (options.reset_optimizer or start.slot_state == "none"):
        why = "" if options.reset_optimizer else ", which has no optimiser slots"
        reporter.noticed(f"The weights are those of {start.name}{why}; the schedule begins at step 0.")
        return 0
    restore_moments(start, trained)
    total = preparation.settings.num_train_steps
    if start.step is None or start.step > total:
        raise TrainingError(
            f"{start.path} is at step {start.step}, but num_train_steps is {total}",
            "Give the num_train_steps of the whole run, or --reset-optimizer to begin a new schedule.",
        )
    reporter.noticed(f"The run of {start.name} continues at step {start.step} of {total}.")
    return start.step
