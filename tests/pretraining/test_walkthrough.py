"""What docs/pretraining.md tells a reader to type runs, in its order, in one folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", (ROOT / "docs" / "pretraining.md").read_text(), re.M | re.S)


def test_the_walk_through_runs_from_end_to_end(tmp_path):
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    printed = ""
    for language, text in BLOCKS:
        command = ["bash", "-ec", text] if language == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (text, done.stderr)
        printed += done.stdout
    assert "Trained to step 100." in printed
    assert "\nThe same discriminator and generator." in printed
    assert all(f"  {word}\n" in printed for word in ("Los", "pájaros", "están", "cantando", "hablando"))
    assert (tmp_path / "spanish-tf" / "model.ckpt-100.index").is_file()
    assert (tmp_path / "continued" / "tensorflow" / "model.ckpt-4002.index").is_file()
