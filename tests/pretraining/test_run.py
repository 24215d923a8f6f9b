"""pretrain as Python calls it: its arguments, its result and warnings; and what torch raises, told in plain words."""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.pretraining import TINY

from electra_convert import Pretraining, pretrain
from electra_convert.cli.pretrain import command
from electra_convert.errors import ConfigError, ElectraWarning, MissingPackageError, UsageError
from electra_convert.pretraining.processes import told_of
from electra_convert.pretraining.run import _SMALLER, _require_recent


def raised(text: str, name: str = "RuntimeError", module: str = "builtins") -> RuntimeError:
    return type(name, (RuntimeError,), {"__module__": module})(text)


GONE = "[/pytorch/gloo/pair.cc:553] Connection closed by peer [127.0.0.1]:9909."
BROKEN = "BackendCompilerFailed: no C++ compiler\nlong\nstory"


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (raised("CUDA out of memory. Tried", "OutOfMemoryError", "torch"), "memory ran out: CUDA", "--accumulate"),
        (raised("DefaultCPUAllocator: can't allocate memory"), "memory ran out: Default", "--batch-size"),
        (raised(GONE), "process 1 ends because another has", "What that one says tells why."),
        (raised(BROKEN, "InductorError", "torch._inductor.exc"), "torch.compile failed: Back", "Leave --compile out"),
    ],
)
def test_an_error_that_something_can_be_done_about_says_what(error, said, hint):
    told = told_of(error, 1, _SMALLER, True)
    assert told.message.startswith(said)
    assert "\n" not in told.message
    assert hint in told.hint


def test_other_errors_are_no_ones_but_the_programs():
    assert told_of(raised("index out of range"), 1, _SMALLER, True) is None
    assert told_of(raised(GONE), 0, _SMALLER, True) is None
    assert told_of(raised(BROKEN, "InductorError", "torch._inductor.exc"), 0, _SMALLER, False) is None


def test_a_transformers_that_is_too_old_is_named():
    _require_recent("5.0.0")
    with pytest.raises(MissingPackageError, match=r"transformers 4\.57\.6 is too old to pretrain with; 5 is needed"):
        _require_recent("4.57.6")


@pytest.mark.slow
@pytest.mark.parametrize("package", ["accelerate", "matplotlib"])
def test_a_package_that_is_missing_is_named_before_anything_is_done(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(MissingPackageError, match=f"{package} is needed to") as raised:
        pretrain(tmp_path / "nowhere", tmp_path / "run", vocab="vocab.txt")
    assert raised.value.hint == "pip install 'electra-convert[pretrain]'"


def test_arguments_are_the_options_of_the_command():
    given = command.make_context("pretrain", ["corpus", "output"]).params
    options = {name: value for name, value in given.items() if name not in {"corpus", "output", "as_json", "quiet"}}
    arguments = {name: one.default for name, one in inspect.signature(pretrain).parameters.items()}
    assert {name: arguments.get(name, "missing") for name in options} == options
    assert arguments.keys() - options.keys() == {"corpus", "output", "reporter", "uncased"}


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"export": "torch"}, UsageError, "^export is 'torch', expected tf"),
        ({"cased": True, "uncased": True}, UsageError, "are each other's opposites"),
        ({"hparams": {"warmup_proportion": 0.1}}, ConfigError, "warmup_proportion is an hparam of fine-tuning"),
    ],
)
@pytest.mark.slow
def test_arguments_that_cannot_be_are_refused(tmp_path, given, error, said):
    with pytest.raises(error, match=said):
        pretrain(FIXTURES / "corpus", tmp_path / "run", vocab=FIXTURES / "vocab.txt", **given)
    assert not (tmp_path / "run").exists()


def test_a_result_is_told_in_a_line():
    result = Pretraining(
        Path("run"), Path("run/model"), None, 4000, {"masked_lm_loss": 2.5, "disc_auc": 0.875}, ("a",)
    )
    assert repr(result) == "<Pretraining 'run/model': step 4,000, masked_lm_loss 2.500, disc_auc 0.875>"


@pytest.fixture
def short(tmp_path, one_thread):
    """Pretrains for a step, with a warm-up that is longer."""

    def run():
        hparams = {**TINY, "num_train_steps": 1}
        return pretrain(
            FIXTURES / "corpus", tmp_path / "run", vocab=FIXTURES / "vocab.txt", hparams=hparams, cache=tmp_path / "c"
        )

    return run


@pytest.mark.slow
def test_warnings_and_notes_reach_a_python_caller(short):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = short()
    [warning] = [one for one in caught if one.category is ElectraWarning]
    assert str(warning.message).startswith("The warm-up of 4 steps is no shorter than the run of 1:")
    assert warning.filename == __file__
    assert result.warnings == (str(warning.message),)
    assert result.notes[0].startswith("The corpus has ")


@pytest.mark.slow
def test_a_warning_that_is_made_an_error_ends_a_run_before_it_begins(short, tmp_path):
    with pytest.raises(ElectraWarning, match="The warm-up of 4 steps"):
        short()
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_tells_what_it_takes_before_and_after(short):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ElectraWarning)
        notes = "\n".join(short().notes)
    before, after = (re.search(f"{said} ([0-9.]+) GB of memory", notes) for said in ("takes about", "has taken"))
    assert float(before[1]) == pytest.approx(float(after[1]), rel=0.5)
