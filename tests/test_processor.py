"""What is read of a processor, and how its threads wait."""

from __future__ import annotations

import os

import pytest

from electra_convert.processor import cores_at_once, keep_no_kernels, multiplies_in_bfloat16, share_processor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model name\t: x\nflags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("flags : fpu amx_bf16\nflags : fpu\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu avx512f\n", False),
        ("model name\t: avx512_bf16\n", False),
        (None, False),
    ],
)
def test_a_processor_that_multiplies_in_bfloat16_says_so(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert multiplies_in_bfloat16(tmp_path / "cpuinfo") is expected


def test_threads_that_wait_sleep_unless_it_is_said_otherwise(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    share_processor()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    share_processor()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_kernels_are_not_kept_unless_it_is_said_otherwise(monkeypatch):
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8")
    keep_no_kernels()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "8"
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY")
    keep_no_kernels()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "0"


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("150000 100000\n", 2), ("20000 100000\n", 1), ("max 100000\n", 8), ("6400000 100000", 8), (None, 8)],
)
def test_no_more_threads_than_cores_and_than_a_container_may_use(tmp_path, monkeypatch, quota, cores):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert cores_at_once(tmp_path / "cpu.max") == cores
