"""What torch raises, told in words that a user can do something with; the rest is left as it is."""

from __future__ import annotations

import sys

import pytest

from electra_convert import pretrain
from electra_convert.errors import MissingPackageError
from electra_convert.pretraining.run import _require_recent, _told


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
    told = _told(error, 1, True)
    assert told.message.startswith(said)
    assert "\n" not in told.message
    assert hint in told.hint


def test_other_errors_are_no_ones_but_the_programs():
    assert _told(raised("index out of range"), 1, True) is None
    assert _told(raised(GONE), 0, True) is None
    assert _told(raised(BROKEN, "InductorError", "torch._inductor.exc"), 0, False) is None


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
