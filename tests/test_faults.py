"""Every command that writes, killed and given errors at its system calls: what stands is old or new and whole, and
the next run puts in order what was left."""

from __future__ import annotations

import errno
import hashlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.faults.process import KILL, Commands, Fault, commands
from support.pretraining import TINY

from electra_convert import convert
from electra_convert.verification.record import hash_files

needs_compiler = pytest.mark.skipif(not (shutil.which("gcc") or shutil.which("cc")), reason="there is no C compiler")
pytestmark = [pytest.mark.slow, needs_compiler]

ERRORS = [
    (errno.EIO, False),
    (errno.ENOSPC, True),
    (errno.ENOSPC, False),
    (errno.EACCES, False),
    (errno.EDQUOT, True),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Iterator[Commands]:
    with commands(tmp_path_factory.mktemp("faults")) as started:
        yield started


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A model folder, of the smaller model."""
    folder = tmp_path_factory.mktemp("made") / "model"
    convert(FIXTURES / "default", folder, vocab=FIXTURES / "vocab.txt", model="generator")
    return folder


class Situation:
    """A folder in which a command writes, and what may stand in it afterwards."""

    def __init__(self, place: Path, made: Path) -> None:
        self.place, self.made = place, made

    def prepare(self) -> list[str | Path]:
        """Lay it out, and say the command."""
        raise NotImplementedError


class New(Situation):
    """convert to a name that is free, below a folder that is not there."""

    def prepare(self):
        return ["convert", FIXTURES / "default", self.place / "on" / "out", "--vocab", FIXTURES / "vocab.txt", "-q"]


class Overwritten(Situation):
    """convert --overwrite."""

    def prepare(self):
        shutil.copytree(self.made, self.place / "out")
        (self.place / "out" / "old").touch()
        return ["convert", self.made, self.place / "out", "--to", "tf", "--overwrite", "-q"]


class Sharded(Situation):
    """convert into several files."""

    def prepare(self):
        return ["convert", self.made, self.place / "out", "--to", "safetensors", "--max-shard-size", "200KB", "-q"]


class Saved(Situation):
    """verify --save."""

    def prepare(self):
        shutil.copytree(self.made, self.place / "model")
        return ["verify", FIXTURES / "default", self.place / "model", "--weights-only", "--save", "-q"]


class Carded(Situation):
    """card."""

    def prepare(self):
        shutil.copytree(self.made, self.place / "model")
        (self.place / "model" / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
        return ["card", self.place / "model", "--language", "en", "-q"]


SITUATIONS = [New, Overwritten, Sharded, Saved, Carded]


def tree(place: Path) -> dict[str, str]:
    """The SHA-256 of every file, by its path; folders and links as what they are."""
    found = {}
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found


def without_hidden(found: dict[str, str]) -> dict[str, str]:
    return {name: what for name, what in found.items() if not any(part.startswith(".") for part in name.split("/"))}


@pytest.fixture
def tried(run: Commands, made: Path, tmp_path: Path) -> Callable:
    """Runs a situation with one fault, and requires what is promised; gives how the command ended."""
    known: dict[type, tuple[dict, dict, int]] = {}

    def begin(kind: type[Situation]) -> tuple[Path, list]:
        place = tmp_path / "place"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place, kind(place, made).prepare()

    def expected(kind: type[Situation]) -> tuple[dict, dict, int]:
        if kind not in known:
            place, command = begin(kind)
            before = tree(place)
            ended = run.run(command, place)
            assert ended.code == 0, ended.err
            known[kind] = before, tree(place), ended.calls
            assert ended.calls > 5
            assert not [name for name in known[kind][1] if ".partial" in name or ".replaced" in name]
        return known[kind]

    def attempt(kind: type[Situation], where: float, action: int, lasting: bool = False):
        before, after, calls = expected(kind)
        place, command = begin(kind)
        fault = Fault(1 + int(where * calls), action, lasting)
        ended = run.run(command, place, fault)
        told = f"{kind.__name__}, {fault} of {calls}: {ended}"
        assert ended.code == -9 if action == KILL else ended.code in {0, 1}, told
        if ended.code == 1:
            assert ended.err.startswith("Error: "), told
            assert "unexpected" not in ended.err, told
        left = tree(place)
        visible = without_hidden(left)
        assert visible in (before, after) or set(visible) - set(before) == {"on"}, (told, left)
        if ended.code == 0:
            assert visible == after, told
        again = [*command, "--overwrite"] if kind in {New, Sharded} else command
        ended = run.run(again, place)
        assert ended.code == 0, (told, ended)
        assert tree(place) == after, (told, left)

    return attempt


def test_a_command_that_is_killed_leaves_old_or_new_and_the_next_puts_it_in_order(tried):
    chance = random.Random(18)
    for kind in SITUATIONS:
        for share in range(2):
            tried(kind, (share + chance.random()) / 2, KILL)


def test_a_command_that_is_given_an_error_leaves_old_or_new_and_says_so(tried):
    chance = random.Random(19)
    for kind in SITUATIONS:
        for share in range(2):
            tried(kind, (share + chance.random()) / 2, *chance.choice(ERRORS))


@pytest.mark.long
@pytest.mark.parametrize("kind", SITUATIONS)
def test_three_hundred_kills_leave_nothing_torn(tried, kind):
    for number in range(60):
        tried(kind, (number + 0.5) / 60, KILL)


@pytest.mark.long
@pytest.mark.parametrize("kind", SITUATIONS)
def test_three_hundred_errors_leave_nothing_torn(tried, kind):
    for number in range(60):
        tried(kind, (number + 0.5) / 60, *ERRORS[number % len(ERRORS)])


@pytest.fixture(scope="module")
def training(tmp_path_factory) -> Iterator[Commands]:
    torch_too = ("torch", "transformers.models.electra.modeling_electra", "accelerate", "matplotlib.figure")
    with commands(tmp_path_factory.mktemp("training"), *torch_too, "electra_convert.cli.pretrain") as started:
        yield started


@pytest.mark.long
@pytest.mark.parametrize("action", [(KILL, False), *ERRORS[:2]], ids=["killed", "error", "full"])
def test_a_pretraining_run_ends_as_one_that_nothing_happened_to(training, tmp_path, action):
    hparams = json.dumps({**TINY, "num_train_steps": 6, "save_checkpoints_steps": 2, "keep_checkpoint_max": 2})
    cache = tmp_path / "cache"

    def command(place: Path, *more: str) -> list[str | Path]:
        given = ["--hparams", hparams, "--cache", cache, *more, "-q"]
        return ["pretrain", FIXTURES / "corpus", place / "run", "--vocab", FIXTURES / "vocab.txt", *given]

    whole = tmp_path / "whole"
    for attempt in ("once", "with its corpus in the cache"):
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir()
        ended = training.run(command(whole), whole)
        assert ended.code == 0, (attempt, ended)
    expected = tree(whole / "run" / "model")
    for number in range(6):
        place = tmp_path / str(number)
        place.mkdir()
        fault = Fault(1 + int((number + 0.5) / 6 * ended.calls), *action)
        faulty = training.run(command(place), place, fault)
        assert faulty.code == -9 if action[0] == KILL else faulty.code in {0, 1}, faulty
        assert "unexpected" not in faulty.err, faulty
        has_checkpoint = any((place / "run" / "checkpoints").glob("step-*"))
        how = "--resume" if has_checkpoint else "--overwrite"
        again = training.run(command(place, *([how] if (place / "run").exists() else [])), place)
        assert again.code == 0, (fault, faulty, again)
        assert tree(place / "run" / "model") == expected, (fault, faulty)
        assert not [name for name in tree(place) if ".partial" in name or ".replaced" in name], (fault, tree(place))


def test_what_a_killed_run_left_in_a_model_folder_is_never_hashed(run, made, tmp_path):
    shutil.copytree(made, tmp_path / "model")
    left = [tmp_path / "model" / f".{name}.abcd.partial" for name in ("parity.json", "README.md")]
    for path in left:
        path.write_text("half")
    assert not [name for name in hash_files(tmp_path / "model") if name.endswith(".partial")]
    for path in left:
        path.write_text("half")
    command = ["verify", FIXTURES / "default", tmp_path / "model", "--weights-only", "--save", "-q"]
    assert run.run(command, tmp_path).code == 0
    assert not [path for path in left if path.exists()]
