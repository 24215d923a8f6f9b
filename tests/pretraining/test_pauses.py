"""When a run pauses: on the first signal, when its time is up, and every quarter of an hour to be saved."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest

from electra_convert.errors import SavedRunInterrupt, UsageError
from electra_convert.pretraining.pauses import Pauses, deliver, read_duration

ALONE = SimpleNamespace(num_processes=1, is_main_process=True)
OTHER = SimpleNamespace(num_processes=1, is_main_process=False)


@pytest.fixture(autouse=True)
def handlers():
    """Those of Python, whatever this process was started with."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "pause", "status"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_the_first_signal_asks_and_the_second_does_what_it_always_does(number, pause, status):
    class Ended(BaseException):
        pass

    def end(*_):
        raise Ended

    signal.signal(number, end)
    told = []
    with Pauses(None, told.append) as pauses:
        assert pauses.due(ALONE) is None
        signal.raise_signal(number)
        assert pauses.due(ALONE) == pause
        with pytest.raises(Ended):
            signal.raise_signal(number)
    assert len(told) == 1
    assert signal.getsignal(number) is end
    signal.signal(number, signal.default_int_handler)
    with pytest.raises(SavedRunInterrupt) as raised:
        deliver(pause)
    assert raised.value.status == status


def test_a_signal_that_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Pauses(None, print) as pauses:
        signal.raise_signal(signal.SIGINT)
        assert pauses.due(ALONE) is None


def test_handlers_are_as_they_were_after_a_run():
    with Pauses(None, print):
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_clock_of_the_first_process_says_when_time_is_up_and_when_to_save():
    now = [0.0]
    with Pauses(3600, print, clock=lambda: now[0]) as pauses:
        now[0] = 899
        assert pauses.due(ALONE) is None
        now[0] = 901
        assert pauses.due(ALONE) == "saved long ago"
        assert pauses.due(OTHER) is None
        pauses.saved()
        assert pauses.due(ALONE) is None
        now[0] = 3600
        assert pauses.due(ALONE) == "out of time"


@pytest.mark.slow
def test_what_one_process_wants_all_of_them_do():
    import torch

    def reduce(wanted, how):
        assert how == "sum"
        return wanted + torch.tensor([0.0, 1.0, 0.0, 0.0])

    both = SimpleNamespace(num_processes=2, is_main_process=True, device="cpu", reduce=reduce)
    assert Pauses(None, print).due(both) == "terminated"


@pytest.mark.parametrize(
    ("given", "seconds"), [("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("1.5 h", 5400), ("2d", 172800), (45, 45)]
)
def test_times_are_read_as_people_write_them(given, seconds):
    assert read_duration(given) == seconds


@pytest.mark.parametrize("given", ["", "soon", "2 weeks", "h", "0", "-1h", "nan"])
def test_what_is_no_time_is_refused(given):
    with pytest.raises(UsageError, match=r"--time-limit is .*, expected a time such as 90m or 2h"):
        read_duration(given)
