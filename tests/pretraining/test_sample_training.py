"""The sample model's corpus is made anew, and the first hundred steps on it are those that docs/sample.md records."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import FIXTURES

from electra_convert.processor import multiplies_in_bfloat16

ROOT = Path(__file__).parent.parent.parent
RECORDED = [json.loads(line) for line in (FIXTURES / "sample" / "first-steps.jsonl").read_text().splitlines()]


def first_steps(command: list[str], place: Path) -> list[dict[str, float]]:
    """What is reported of a run's first hundred steps, after which it is interrupted."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "OMP_NUM_THREADS": "2"}
    program = [sys.executable, "-m", "electra_convert", *command]
    metrics = place / "masked-lm" / "metrics.jsonl"
    with subprocess.Popen(program, cwd=place, env=environment, stderr=subprocess.PIPE, text=True) as run:
        while run.poll() is None and not (metrics.exists() and '"step": 100,' in metrics.read_text()):
            time.sleep(1)
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate()
    assert metrics.exists(), said
    return [json.loads(line) for line in metrics.read_text().splitlines()][: len(RECORDED)]


@pytest.mark.long
def test_the_first_hundred_steps_are_the_recorded_ones(sample_corpus: Path, tmp_path: Path):
    """To the bit on a processor with the same instructions; elsewhere they are rounded otherwise."""
    import torch

    (tmp_path / "corpus").symlink_to(sample_corpus)
    document = (ROOT / "docs" / "sample.md").read_text()
    (command,) = re.findall(r"^electra-convert (pretrain corpus/text masked-lm .*)$", document, re.MULTILINE)
    steps = first_steps(shlex.split(command), tmp_path)
    same = multiplies_in_bfloat16() and torch.backends.cpu.get_cpu_capability() == "AVX512"
    for step, recorded in zip(steps, RECORDED, strict=True):
        found = {key: step[key] for key in recorded}
        assert found == pytest.approx(recorded, rel=1e-12 if same else 0.02)
