"""What tests share: the fixtures' places, and checkpoints of every layout, written once by TensorFlow."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from support import checkpoints, forward
from support.checkpoints import SIZES
from support.fine_tuned import TASKS, TUNED, VOCABULARY
from support.pairs import copy_pair
from support.pretraining import TINY

from electra_convert.errors import ElectraWarning

if TYPE_CHECKING:
    from electra_convert.verification.reference.session import ReferenceSession

pytest_plugins = ["support.browser", "support.fake_hub.fixtures", "support.order", "support.skips", "pytester"]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# What a shell starts in the background ignores Ctrl-C, and so would the commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# A shared machine may stall for seconds; and what CI tries must not differ from one run to the next.
settings.register_profile(
    "steady", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("steady")
FIXTURES = Path(__file__).parent.parent / "fixtures"
GOLDEN = {"default": 4000, "full_size_generator": 1200, "untied_embeddings": 1200}

# Every layout, with sizes under which it differs from the others in something.
VARIANT_SIZES = (
    ("default", "projected"),
    ("default", "projected_generator"),
    ("default", "full_size_generator"),
    ("default", "deep"),
    ("default", "odd"),
    ("untied_generator_embeddings", "projected_generator"),
    ("untied_generator_embeddings", "embeddings_wider_than_hidden"),
    ("tied_generator", "projected"),
    ("tied_generator", "odd"),
    ("masked_lm", "projected"),
    ("masked_lm", "embeddings_wider_than_hidden"),
    ("uniform_generator", "odd"),
    ("uniform_generator", "relu"),
    ("uniform_generator", "tanh"),
    ("uniform_generator", "linear"),
    ("two_tower_generator", "projected"),
    ("two_tower_untied_embeddings", "projected"),
    ("fine_tuned", "projected"),
)


def unpacked(name: str, place: Path) -> Path:
    """A model that Keras saved, in a folder of its name (fixtures/keras)."""
    shutil.unpack_archive(FIXTURES / "keras" / f"{name}.zip", place / name)
    return place / name


@pytest.fixture
def golden_copy(tmp_path: Path) -> Callable[..., Path]:
    """Copies a trained checkpoint, with its vocabulary, to where a test may damage it."""

    def copy(name: str = "default", without: tuple[str, ...] = ()) -> Path:
        folder = tmp_path / f"copy_of_{name}"
        shutil.copytree(FIXTURES / name, folder, ignore=shutil.ignore_patterns("golden.npz", *without))
        if "vocab.txt" not in without:
            shutil.copy(FIXTURES / "vocab.txt", folder)
        return folder

    return copy


@pytest.fixture(scope="session")
def imported_tensorflow():
    """TensorFlow, which takes seconds: files that name this fixture share a worker (support/order.py)."""
    import tensorflow

    return tensorflow


@pytest.fixture(scope="session")
def variant_folders(imported_tensorflow, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Writes a checkpoint of a layout with TensorFlow, once a session."""

    @cache
    def folder(variant: str, sizes: str) -> Path:
        place = tmp_path_factory.mktemp(f"{variant}_{sizes}")
        checkpoints.write_folder(place, variant, SIZES[sizes])
        return place

    return folder


@pytest.fixture(scope="session")
def converted_layouts(variant_folders, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Converts a checkpoint of a layout with its slots, once a session; not to be changed."""
    from electra_convert import convert

    @cache
    def folder(variant: str, sizes: str) -> Path:
        return convert(
            variant_folders(variant, sizes), tmp_path_factory.mktemp("converted") / "out", optimizer=True
        ).output

    return folder


@pytest.fixture(scope="session")
def oracle_outputs() -> Callable[[str, str, str], forward.Outputs]:
    """What the oracle computes from a model of a layout for the inputs of its sizes, once a session."""

    @cache
    def computed(variant: str, sizes: str, role: str) -> forward.Outputs:
        made = SIZES[sizes]
        variables = checkpoints.variables(variant, made, slots=False)
        heads = checkpoints.sizes_of(variant, role, made).heads
        network = forward.NETWORKS[variant][role]
        return forward.forward(variables, network, heads, activation=made.activation, **checkpoints.inputs(made))

    return computed


def write_bundle(prefix: Path, tensors: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays as a checkpoint with the package's own writer, which other tests hold to TensorFlow's."""
    from electra_convert.formats.tf_bundle import open_sink
    from electra_convert.tensors.spec import DTYPES, TensorSpec

    specs = [TensorSpec(name, DTYPES[array.dtype.name], array.shape) for name, array in tensors.items()]
    with open_sink(prefix, specs) as sink:
        for name, array in tensors.items():
            sink.writer(name).write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes a checkpoint of a layout without TensorFlow, as a test wants it."""

    def write(
        variant: str = "default",
        sizes: str = "projected",
        *,
        change: Callable[[dict[str, NDArray[np.generic]]], object] = lambda _: None,
        hparams: bool = True,
        slots: bool = False,
        seed: int = 0,
    ) -> Path:
        folder = tmp_path / f"written_{variant}"
        folder.mkdir()
        tensors = checkpoints.variables(variant, SIZES[sizes], slots, seed)
        change(tensors)
        write_bundle(folder / "model.ckpt-1000", tensors)
        if hparams:
            (folder / "hparams.json").write_text(json.dumps(checkpoints.hparams(variant, SIZES[sizes])))
        (folder / "vocab.txt").write_text("\n".join(checkpoints.pieces(SIZES[sizes])) + "\n")
        return folder

    return write


@pytest.fixture
def tuned_for(written: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a checkpoint fine-tuned for tasks of dense layers: one for classes, a number or tags, two for ends."""

    def tune(
        *tasks: str, labels: int = 1, sizes: str = "projected", layers: tuple[str, ...] = ("dense",), seed: int = 0
    ) -> Path:
        def change(tensors: dict[str, NDArray[np.generic]]) -> None:
            for name in [name for name in tensors if name.startswith("task_specific/")]:
                del tensors[name]
            rng, hidden = np.random.default_rng([labels, seed]), SIZES[sizes].hidden
            for scope in (f"task_specific/{task}/{layer}" for task in tasks for layer in layers):
                kernel = rng.standard_normal((hidden, labels)) / np.sqrt(hidden)
                tensors[f"{scope}/kernel"] = kernel.astype(np.float32)
                tensors[f"{scope}/bias"] = rng.standard_normal(labels).astype(np.float32)

        return written("fine_tuned", sizes, change=change, seed=seed)

    return tune


@pytest.fixture(scope="session")
def reference_session() -> Iterator[ReferenceSession]:
    """One process of the reference model, since starting TensorFlow takes seconds."""
    from support.reference import SharedReference

    with SharedReference() as opened:
        yield opened


@pytest.fixture
def shared_reference(reference_session: ReferenceSession, monkeypatch: pytest.MonkeyPatch) -> ReferenceSession:
    """Has every verify of a test ask the same reference model."""
    monkeypatch.setattr(
        "electra_convert.verification.verify.ReferenceSession", lambda: nullcontext(reference_session)
    )
    return reference_session


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The golden checkpoints, converted once a session; not to be changed."""
    from electra_convert import convert

    place = tmp_path_factory.mktemp("pairs")
    for name in GOLDEN:
        convert(FIXTURES / name, place / name, vocab=FIXTURES / "vocab.txt")
    return {name: place / name for name in GOLDEN}


@pytest.fixture(scope="session")
def converted_tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What Google's code fine-tuned, converted once a session, of several tasks a folder each; not to be changed."""
    from electra_convert import convert

    place = tmp_path_factory.mktemp("tasks")
    for name in dict.fromkeys(folder for folder, *_ in TASKS):
        convert(TUNED / name, place / name, vocab=VOCABULARY)
    return {name.name: name for name in place.iterdir()}


@pytest.fixture
def pair_copy(pairs: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Copies a converted pair, for a test to change."""
    return lambda name="default": copy_pair(pairs[name], tmp_path / f"pair_{name}")


@pytest.fixture(scope="session")
def golden_pair(pairs: dict[str, Path]) -> Path:
    """The default golden checkpoint, converted to a pair folder."""
    return pairs["default"]


@pytest.fixture(scope="session")
def sample_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus of the sample model, made anew out of packages; for long tests."""
    folder = tmp_path_factory.mktemp("sample") / "corpus"
    script = FIXTURES.parent / "docs" / "sample" / "corpus.py"
    subprocess.run([sys.executable, script, folder], check=True)
    return folder


@pytest.fixture(scope="session")
def opened_discriminator(golden_pair: Path):
    """Its discriminator, ready to run."""
    from electra_convert import open_model

    return open_model(golden_pair)


@pytest.fixture(scope="session")
def opened_generator(golden_pair: Path):
    """Its generator, ready to run."""
    from electra_convert import open_model

    return open_model(golden_pair, "generator")


@pytest.fixture
def one_thread():
    """On a shared machine two threads wait for each other longer than they compute."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pretrained(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Callable[..., Any]:
    """Pretrains a tiny model on the corpus of the fixtures; tokenised corpora are kept for the session."""
    from electra_convert import pretrain

    def run(name: str = "run", corpus: Path = FIXTURES / "corpus", **options: Any):
        given = {"vocab": FIXTURES / "vocab.txt", "hparams": TINY, "log_steps": 4, "held_out": 0.1}
        cache = tmp_path_factory.getbasetemp() / "tokenised"
        with warnings.catch_warnings():
            # Runs as short as these are shorter than their warm-up, and what else they are warned of.
            warnings.simplefilter("ignore", ElectraWarning)
            return pretrain(corpus, tmp_path / name, **{"cache": cache, **given, **options})

    return run


@pytest.fixture
def decided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Decides on a run that starts from somewhere, and trains nothing; gives what was decided, and what was told."""
    from electra_convert.pretraining.options import PretrainOptions
    from electra_convert.pretraining.prepare import prepare
    from electra_convert.pretraining.progress import Relay, Silent
    from electra_convert.pretraining.starting.start import opened

    with ExitStack() as stack:

        def decide(source: Path, **given: Any) -> tuple[Any, list[str]]:
            told = Relay(Silent())
            cache = tmp_path_factory.getbasetemp() / "tokenised"
            # Models as short as some of these would see little of the corpus.
            options = PretrainOptions(**{"init_from": source, "cache": cache, "split_long_lines": True, **given})
            start = stack.enter_context(opened(None, options))
            run = prepare([FIXTURES / "corpus" / "english.txt"], options, start, None, told)
            return run, [*told.notes, *told.warnings]

        yield decide


@pytest.fixture
def kept_run(pretrained: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A run as `pretrained` makes it, made once a session; not to be changed."""

    def run(**options: Any) -> Path:
        name = hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()[:12]
        kept = tmp_path_factory.getbasetemp() / f"kept_{name}"
        if not kept.exists():
            pretrained("first", **options).output.rename(kept)
        return kept

    return run


@pytest.fixture
def finished_run(kept_run: Callable[..., Path], tmp_path: Path) -> Path:
    """A run without held-out sequences, copied to where `pretrained` finds it again."""
    return shutil.copytree(kept_run(held_out=0.0, export="tf"), tmp_path / "run")


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small data of every task, made once a session."""
    from support.finetuning import write_data

    return write_data(tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="session")
def tuned_once(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Fine-tunes a fixture for a step or a few, once a session for the same arguments; not to be changed."""
    from electra_convert.finetuning.finetune import finetune

    @cache
    def tune(task: str, train: str, dev: str | None = None, **options: Any) -> Any:
        output = tmp_path_factory.mktemp("tuned") / "run"
        given = {"vocab": FIXTURES / "vocab.txt", "epochs": 1, "dev": None if dev is None else labelled / dev}
        return finetune(task, FIXTURES / "default", labelled / train, output, **{**given, **options})

    return tune
