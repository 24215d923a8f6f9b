"""What the documents say is so: README's commands run, its files exist, and the architecture names every part."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.command_line import run

from electra_convert import convert

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for name in ("docs", "fixtures", "benchmarks") for path in (ROOT / name).glob("*.md")),
    ]
)


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


COMMANDS = [
    line for block in blocks("sh") for line in block.splitlines() if line.startswith(("electra-convert", "cmp"))
]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("readme")
    (place / "fixtures").symlink_to(ROOT / "fixtures")
    return place


def test_readme_has_commands_to_run():
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_runs(workplace: Path, command: str):
    """In their order, in one folder, as a reader would."""
    # What the README shows of the Hub goes without a network.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    cache = str(workplace / "cache")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PATH": path, "XDG_CACHE_HOME": cache}
    done = subprocess.run(
        ["bash", "-c", command], cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_output_that_the_readme_shows_is_what_inspect_prints(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(workplace)
    (shown,) = [block for block in blocks("text") if block.startswith("discriminator:")]
    assert set(shown.splitlines()) <= set(run("inspect", "fixtures/default").out.splitlines())


def needed(requirements: list[str], extra: str = "") -> set[str]:
    """The packages that are installed with some, themselves included."""
    names = set()
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            names |= {canonicalize_name(requirement.name)}
            names |= needed(metadata.requires(requirement.name) or [])
    return names


def test_the_readme_says_truly_how_many_packages_the_core_is():
    core = needed(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    assert f"The first is {len(core) + 1} packages" in README
    assert f"and {len(needed(['tokenizers']) - core.intersection({'click', 'tokenizers'}))} of the" in README


@pytest.mark.slow
def test_the_python_of_the_readme_runs(workplace: Path):
    if not (workplace / "my-electra").exists():
        convert(ROOT / "fixtures" / "default", workplace / "my-electra", vocab=ROOT / "fixtures" / "vocab.txt")
    for code in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_variables_are_taken_out_of_a_checkpoint_as_troubleshooting_says(written, tmp_path: Path, monkeypatch):
    source = written(change=lambda tensors: tensors.update({"my_own/step": np.zeros(2, np.float32)}))
    monkeypatch.chdir(tmp_path)
    source.rename("run")
    assert "my_own/step" in run("convert", "run", "out").refusal()
    (code,) = blocks("python", (ROOT / "docs" / "troubleshooting.md").read_text())
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert run("convert", "clean", "out").code == 0


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert target.startswith("http") or (document.parent / target).exists(), target


def test_the_architecture_names_every_module_and_no_other():
    text = (ROOT / "docs" / "architecture.md").read_text()
    tree = re.search(r"^electra_convert/\n(.*?)^tests/", text, re.MULTILINE | re.DOTALL)
    assert tree
    named = set(re.findall(r"\b([a-z_]+\.py|[a-z_]+/)", tree[1].replace("google-research/electra", "")))
    package = ROOT / "electra_convert"
    parts = {path.name for path in package.glob("*.py")} | {f"{path.name}/" for path in folders(package)}
    inside = {
        path.name
        for folder in ("tensors", "schemes", "formats", "config", "conversion")
        for path in modules(package / folder)
    }
    assert parts - {"__main__.py", "version.py"} <= named
    assert inside <= named
    everything = {path.name for path in package.rglob("*.py")} | {
        f"{path.name}/" for path in package.rglob("*") if path.is_dir()
    }
    assert named <= everything


def folders(package: Path) -> list[Path]:
    return [path for path in package.iterdir() if (path / "__init__.py").exists()]


def modules(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.py") if path.name != "__init__.py"]
