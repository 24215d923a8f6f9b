"""The weights within what a training program saved with torch: found, and told from what is beside them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from electra_convert.errors import SourceError
from electra_convert.formats.torch_file import open_file

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


def names_in(path: Path) -> tuple[list[str], tuple[str, ...]]:
    with open_file(path) as source:
        return list(source.tensors), source.notices


STATES = {
    "the weights alone": (lambda one: {"a": one}, ["a"], ()),
    "a training state": (
        lambda one: {"model": {"a": one}, "epoch": 3},
        ["a"],
        ("Read, of a training state, the weights under 'model'; left out: 'epoch'.",),
    ),
    "a state within one": (
        lambda one: {"model": {"state_dict": {"a": one}, "rng": [1]}, "opt": {"a": one}},
        ["a"],
        ("Read, of a training state, the weights under 'model.state_dict'; left out: 'opt'.",),
    ),
    "an average of the weights beside them": (
        lambda one: {"ema": {"a": one}, "state_dict": {"a": one}},
        ["a"],
        ("Read, of a training state, the weights under 'state_dict'; left out: 'ema'.",),
    ),
    "two models": (
        lambda one: {"generator": {"a": one}, "discriminator": {"a": one}, "optimizer": {"state": {}}},
        ["generator.a", "discriminator.a"],
        ("Read, of a training state, the weights under 'generator', 'discriminator'; left out: 'optimizer'.",),
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_the_weights_are_found_and_what_is_beside_them_is_named(torch, tmp_path, case):
    make, names, notices = STATES[case]
    torch.save(make(torch.ones(1)), tmp_path / "a.pt")
    assert names_in(tmp_path / "a.pt") == (names, notices)


def test_states_nested_without_end_are_refused(torch, tmp_path):
    state: dict[str, object] = {"a": torch.ones(1)}
    for _ in range(100):
        state = {"model": state}
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(SourceError, match="holds a training state, not a state dict"):
        open_file(tmp_path / "a.pt")


@pytest.fixture
def fastai_list(monkeypatch):
    """fastcore's L: a list in an object, which Learner.save leaves in the state of the optimiser."""

    class L:
        def __init__(self, items: list[object]) -> None:
            self.items = items

    L.__module__, L.__qualname__ = "fastcore.foundation", "L"
    module = ModuleType("fastcore.foundation")
    module.L = L
    monkeypatch.setitem(sys.modules, "fastcore", ModuleType("fastcore"))
    monkeypatch.setitem(sys.modules, "fastcore.foundation", module)
    return L


def test_a_learners_file_is_read_with_fastais_list_passed_over(torch, tmp_path, fastai_list, monkeypatch):
    learner = {"model": {"a": torch.ones(2)}, "opt": {"state": [], "hypers": fastai_list([{"lr": 0.1}])}}
    torch.save(learner, tmp_path / "a.pth", pickle_protocol=2)
    monkeypatch.delitem(sys.modules, "fastcore.foundation")
    assert names_in(tmp_path / "a.pth")[0] == ["a"]
    assert "fastcore.foundation" not in sys.modules


def test_a_torch_that_cannot_pass_it_over_still_reads_all_other_files(torch, tmp_path, fastai_list, monkeypatch):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pth")
    torch.save({"model": {"a": torch.ones(2)}, "opt": fastai_list([])}, tmp_path / "b.pth")
    monkeypatch.delattr(torch.serialization, "safe_globals")
    assert names_in(tmp_path / "a.pth") == (["a"], ())
    with pytest.raises(SourceError, match=r"run code, fastcore\.foundation\.L"):
        open_file(tmp_path / "b.pth")


def test_nothing_can_be_called_through_that_list(torch, tmp_path, fastai_list):
    class Reached:
        def __reduce__(self):
            return fastai_list, ([1, 2],), {"items": [torch.ones(1)]}

    torch.save({"model": {"a": torch.ones(1)}, "opt": Reached()}, tmp_path / "a.pth")
    assert names_in(tmp_path / "a.pth")[0] == ["a"]
    torch.save({"model": {"a": fastai_list([torch.ones(1)])}}, tmp_path / "b.pth")
    with pytest.raises(SourceError, match="no tensors under 'model'"):
        open_file(tmp_path / "b.pth")


def test_a_whole_module_is_refused_with_what_saves_its_weights(torch, tmp_path):
    torch.save(torch.nn.Linear(1, 1), tmp_path / "pretrained-model.pt")
    with pytest.raises(SourceError, match=r"run code, torch\.nn\.modules\.linear\.Linear") as caught:
        open_file(tmp_path / "pretrained-model.pt")
    assert "torch.load('pretrained-model.pt', weights_only=False)" in caught.value.hint
    assert "torch.save(model.state_dict(), path)" in caught.value.hint
