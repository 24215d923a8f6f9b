"""One run in one process: its parts put together in their order, and its files written by the first process alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from electra_convert.checkpoint import Checkpoint, open_checkpoint
from electra_convert.errors import ConfigError, TrainingError
from electra_convert.frameworks import import_accelerate
from electra_convert.pretraining import checkpoints
from electra_convert.pretraining.batches import Batches, weights_seed
from electra_convert.pretraining.dropout import ATTENTION
from electra_convert.pretraining.exchange import Trained, restore_moments, restore_weights
from electra_convert.pretraining.export import Tokens, write_models, write_tensorflow
from electra_convert.pretraining.initial import initialise
from electra_convert.pretraining.metrics import MetricsLog, draw_curves, last_evaluation
from electra_convert.pretraining.model import Electra, make_networks
from electra_convert.pretraining.optimizer import learning_rate, make_optimizer
from electra_convert.pretraining.options import PretrainOptions
from electra_convert.pretraining.place import Start, begun, identity
from electra_convert.pretraining.preparation import Decided, Preparation, described, prepare
from electra_convert.pretraining.records import (
    VOCABULARY,
    Pretraining,
    changed,
    locked,
    read_run,
    require_same,
    require_same_tokenizer,
    write_run,
)
from electra_convert.pretraining.reporting import Reporter, Silent
from electra_convert.pretraining.train import LOSSES, Hooks, Losses, train

CHECKPOINTS, MODEL, TENSORFLOW = "checkpoints", "model", "tensorflow"


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
        saved, notices = checkpoints.latest(output / CHECKPOINTS) if options.resume else (None, [])
        for line in notices:
            reporter.noticed(line)
        source = saved.models if saved else options.init_from
        start = stack.enter_context(open_checkpoint(source)) if source else None
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
        files = _Files(output, trained, preparation, options, accelerator, reporter, new)
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
        last = checkpoints.last_step(output / CHECKPOINTS)
        kept = "The run had no checkpoint yet." if last is None else f"--resume continues the run from step {last}."
        interrupt.add_note(kept)
        raise


def _accelerator(options: PretrainOptions) -> Any:  # noqa: ANN401 - accelerate.Accelerator
    accelerate = import_accelerate("to pretrain")
    distributed = accelerate.DistributedDataParallelKwargs(gradient_as_bucket_view=True)
    # Of a run before in the same process, whose precision may have been another.
    accelerate.state.AcceleratorState._reset_state()
    # Accumulating and compiling are options here; what accelerate's environment says of them would come on top.
    accelerator = accelerate.Accelerator(
        mixed_precision="bf16" if options.precision == "bfloat16" else "no",
        gradient_accumulation_plugin=accelerate.utils.GradientAccumulationPlugin(num_steps=1),
        dynamo_backend="no",
        kwargs_handlers=[distributed],
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
    preparation = prepare(places, options, start, Decided(pieces, record.get("hparams", {})), reporter)
    require_same(record, described(preparation, options), _hparams(preparation))
    return preparation


def _write_run(folder: Path, preparation: Preparation, options: PretrainOptions, computed: Mapping[str, Any]) -> None:
    what = {**described(preparation, options), "train_vocab": options.train_vocab}
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
    networks = make_networks(preparation.configs, preparation.variant, ATTENTION if own_dropout else "sdpa")
    for network in networks.values():
        network.to(accelerator.device)
    named = {f"{role}.{name}": one for role, network in networks.items() for name, one in network.named_parameters()}
    once = {id(parameter): (name, parameter) for name, parameter in reversed(named.items())}
    optimizer = make_optimizer(dict(reversed(once.values())), preparation.settings.weight_decay_rate)
    return Trained(networks, optimizer, preparation.variant, preparation.findings)


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


class _Files:
    """What a run writes while it goes on; all processes call its methods, the first one writes."""

    def __init__(
        self,
        output: Path,
        trained: Trained,
        preparation: Preparation,
        options: PretrainOptions,
        accelerator: Any,  # noqa: ANN401
        reporter: Reporter,
        new: Start | None,
    ) -> None:
        self._new = new
        self._output, self._trained, self._settings = output, trained, preparation.settings
        self._options, self._accelerator, self._reporter = options, accelerator, reporter
        self._described = described(preparation, options)
        pieces = preparation.pieces
        self._tokens = Tokens(output / VOCABULARY, pieces.lower_case, pieces.strip_accents)
        self._log: MetricsLog | None = None
        self._metrics: dict[str, float] = {}
        self._step = 0

    def open(self, step: int) -> None:
        """Begin to report, from a step on."""
        self._step = step
        if self._accelerator.is_main_process:
            self._log = MetricsLog(self._output, step)
            # Of a run that is finished nothing is evaluated again.
            self._metrics = last_evaluation(self._output)

    def report(self, step: int, losses: Losses, tokens_per_second: float) -> None:
        """Write down the losses since the last report."""
        means = torch.tensor(losses, dtype=torch.float64).mean(0).tolist()
        values = dict(zip(LOSSES, means, strict=True)) | {"learning_rate": learning_rate(self._settings, step - 1)}
        if "discriminator" not in self._trained.networks:
            del values["disc_loss"]
        if self._log is not None:
            self._log.write("train", step, {**values, "tokens_per_second": tokens_per_second})
        self._reporter.stepped(
            step, self._settings.num_train_steps, {**values, "tokens_per_second": tokens_per_second}
        )

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        """Write down the metrics of the held-out sequences."""
        self._metrics = metrics
        if self._log is not None and metrics:
            self._log.write("eval", step, metrics)
        self._reporter.evaluated(step, metrics)

    def save(self, step: int, pending: Losses) -> None:
        """Write a checkpoint."""
        self._step = step
        if self._accelerator.is_main_process:
            keep = self._settings.keep_checkpoint_max
            folder = self._output / CHECKPOINTS
            checkpoints.save(folder, self._trained, step, self._tokens, self._described, pending, keep)
            self._settle()
        self._accelerator.wait_for_everyone()

    def _settle(self) -> None:
        if self._new is not None:
            self._new.settle()

    def finish(self) -> Pretraining:
        """Write the models, the TensorFlow checkpoint where it is wanted, and the curves."""
        tensorflow = self._output / TENSORFLOW if self._options.export_tf else None
        model = self._output / MODEL
        if self._log is not None:
            write_models(self._trained, self._step, self._tokens, self._described, model, slots=True)
            if tensorflow is not None:
                write_tensorflow(self._trained, self._step, self._tokens, tensorflow)
            draw_curves(self._output)
            self._settle()
        self._accelerator.wait_for_everyone()
        if self._accelerator.num_processes > 1:
            self._accelerator.end_training()
        return Pretraining(self._output, model, tensorflow, self._step, self._metrics, self._log is not None)
