"""What the documents say is so: README's commands run, its files exist, and the architecture names every part."""

from __future__ import annotations

import os
import re
import shlex
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
    line
    for text in (
        README,
        *((ROOT / "docs" / name).read_text() for name in ("converting.md", "finetuning.md", "scoring.md")),
    )
    for block in blocks("sh", text)
    for line in block.splitlines()
    if line.startswith(("electra-convert", "cmp"))
]


PYTHON = [*blocks("python"), *blocks("python", (ROOT / "docs" / "scoring.md").read_text())]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("readme")
    (place / "fixtures").symlink_to(ROOT / "fixtures")
    return place


def test_readme_has_commands_to_run():
    assert len(COMMANDS) >= 8


def imports_a_framework(command: str) -> bool:
    return "--verify" in command or command.split()[1] in {"verify", "demo", "score", "pretrain", "finetune"}


@pytest.mark.slow
@pytest.mark.usefixtures("shared_reference")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_of_converting_finetuning_and_scoring_runs(
    workplace: Path, command: str, monkeypatch: pytest.MonkeyPatch
):
    """In their order, in one folder, as a reader would; frameworks are imported once, in this process."""
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    if imports_a_framework(command):
        ran = run(*shlex.split(command)[1:])
        assert ran.code == 0, ran.err
    else:
        # What the README shows of the Hub goes without a network.
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile, as make would run them from a workplace."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    return [line.strip().removeprefix("$(BIN)/") for line in found[1].splitlines()]


@pytest.mark.slow
@pytest.mark.usefixtures("shared_reference")
def test_the_quickstart_prints_what_the_readme_shows_and_ends_with_a_hit(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(workplace)
    printed: list[str] = []
    for command in recipe("quickstart"):
        if command.startswith("electra-convert"):
            ran = run(*shlex.split(command)[1:])
            assert ran.code == 0, ran.err
            printed += ran.out.splitlines()
    *shown, last = blocks("text")[0].splitlines()
    assert [line for line in printed if line in shown] == shown
    assert len(shown) == 4
    assert recipe("test")[-1] == f'@echo "{last}"'
    assert "[[" in shown[-1]


def test_the_picture_of_the_readme_is_small():
    assert (ROOT / "docs" / "demo.png").stat().st_size < 100_000


def test_the_output_that_the_readme_shows_is_what_inspect_prints(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(workplace)
    (shown,) = [block for block in blocks("text") if block.startswith("discriminator: Electra")]
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


def test_what_is_installed_by_hashes_is_what_is_installed_by_versions():
    pins = set((ROOT / "constraints.txt").read_text().split("\n"))
    hashed = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(hashed) > 100
    for line in hashed:
        pin, digest = line.split(" --hash=sha256:")
        assert len(digest) == 64
        assert canonical(pin) in set(map(canonical, pins)), f"{pin}: make requirements makes the file anew"


def canonical(pin: str) -> str:
    name, _, version = pin.partition("==")
    return f"{canonicalize_name(name)}=={version}"


@pytest.mark.slow
@pytest.mark.usefixtures("shared_reference")
@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_the_python_of_the_readme_and_of_scoring_runs(workplace: Path, code: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(workplace)
    if not Path("my-electra").exists():
        convert("fixtures/default", "my-electra", vocab="fixtures/vocab.txt")
    exec(code, {})


def test_variables_are_excluded_as_troubleshooting_says(written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = written(change=lambda tensors: tensors.update({"my_scope/step": np.zeros(2, np.float32)}))
    monkeypatch.chdir(tmp_path)
    assert "my_scope/step" in run("convert", source, "out").refusal()
    (pattern,) = re.findall(r"`--exclude\s'([^']*)'`", (ROOT / "docs" / "troubleshooting.md").read_text())
    assert run("convert", source, "out", "--exclude", pattern).code == 0


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert target.startswith("http") or (document.parent / target).exists(), target


def modules_named(tree: str) -> set[str]:
    """The modules that a drawn tree names, each below the folder that begins its line or a line above."""
    named = set()
    above = [(-1, "")]
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        while above[-1][0] >= indent:
            above.pop()
        folder = above[-1][1]
        if opened := re.match(r" *([\w/]+/)(\s|$)", line):
            folder += opened[1]
            above.append((indent, folder))
        for inner, name in re.findall(r"(?<![\w/.])([\w/]+/)?(\w+\.py)\b", line):
            if inner:
                folder = above[-1][1] + inner
            named.add(folder + name)
    return named


def test_a_module_is_named_below_the_folder_of_its_line():
    tree = "a.py   one; b.py: two\nc/   d.py\n  e.py, f.py\n  g/h.py, i.py\n  j/k/\n    l.py\nm.py"
    inside = {"c/d.py", "c/e.py", "c/f.py", "c/g/h.py", "c/g/i.py", "c/j/k/l.py"}
    assert modules_named(tree) == {"a.py", "b.py", *inside, "m.py"}


def test_the_workflow_for_owners_of_repositories_is_one_and_runs_a_command_that_there_is():
    import yaml

    from electra_convert.cli.verify import command

    (text,) = blocks("yaml", (ROOT / "docs" / "verification.md").read_text())
    (job,) = yaml.safe_load(text)["jobs"].values()
    (line,) = [step["run"] for step in job["steps"] if "verify" in step.get("run", "")]
    program, name, *arguments = shlex.split(line.partition("|")[0])
    assert (program, name) == ("electra-convert", "verify")
    given = command.make_context("verify", arguments).params
    assert (given["candidate"], given["as_json"]) == (None, True)


def test_the_architecture_names_every_module_and_no_other():
    text = (ROOT / "docs" / "architecture.md").read_text()
    tree = re.search(r"^electra_convert/\n(.*?)^tests/", text, re.MULTILINE | re.DOTALL)
    assert tree
    named = modules_named(tree[1])
    package = ROOT / "electra_convert"
    there = {str(path.relative_to(package)) for path in package.rglob("*.py")}
    missing = sorted(path for path in there - named if not path.endswith("__init__.py"))
    gone = sorted(named - there)
    assert not missing, f"docs/architecture.md does not name {', '.join(missing)}"
    assert not gone, f"docs/architecture.md names what is gone: {', '.join(gone)}"
