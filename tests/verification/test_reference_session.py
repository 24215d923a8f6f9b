"""The reference model's process: it answers in order, tells why it cannot, and is gone afterwards."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from conftest import FIXTURES
from support.command_line import run_program

from electra_convert.errors import MissingPackageError, SourceError
from electra_convert.verification.reference.graph import Arithmetic
from electra_convert.verification.reference.session import ReferenceSession

pytestmark = pytest.mark.slow
PREFIX = FIXTURES / "default" / "model.ckpt-4000"
ONES = np.ones((1, 4), np.int32)
BATCH = (ONES, ONES, ONES)


def submit(session, prefix=PREFIX, role="discriminator", batch=BATCH):
    return session.submit(prefix, FIXTURES / "default", None, False, role, None, Arithmetic(7, "relu"), [batch])


def test_answers_belong_to_their_jobs_whatever_the_order_they_are_asked_for(reference_session):
    first, second = submit(reference_session), submit(reference_session, role="generator")
    assert second().outputs[0].answers["logits"].shape == (1, 4, 1500)
    answer = first()
    assert answer.outputs[0].answers["logits"].shape == (1, 4)
    assert (answer.settings.heads, answer.settings.activation) == (2, "gelu")


def test_an_error_there_is_an_error_here_and_the_next_job_is_answered(reference_session, tmp_path):
    with pytest.raises(SourceError, match="TensorFlow cannot read it"):
        submit(reference_session, tmp_path / "nothing")()
    not_kept = tuple(array[:, :3] for array in BATCH)
    assert submit(reference_session, batch=not_kept)().version


def test_a_process_that_dies_is_told_of_and_not_waited_for():
    with ReferenceSession() as session:
        job = submit(session)
        os.kill(session._process.pid, signal.SIGKILL)
        with pytest.raises(SourceError, match="the TensorFlow process ended with status -9"):
            job()
        with pytest.raises(SourceError, match="the TensorFlow process ended"):
            submit(session)()


def test_it_is_gone_when_the_session_is_over():
    with ReferenceSession() as session:
        session.begin()
        process = session._process
    assert process.poll() is not None
    assert not session._folder.exists()


def test_without_tensorflow_it_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('No module named tensorflow')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with ReferenceSession() as session, pytest.raises(MissingPackageError, match="TensorFlow is needed") as caught:
        submit(session)()
    assert caught.value.hint == "pip install 'electra-convert[tensorflow]'"


def test_verify_needs_no_guard_in_a_script_and_prints_nothing(tmp_path, pairs):
    program = "import sys\nfrom electra_convert import verify\nprint(verify(sys.argv[1], sys.argv[2]).verdict)"
    ran = run_program(program, FIXTURES / "default", pairs["default"])
    assert (ran.code, ran.out, ran.err) == (0, "same\n", "")
