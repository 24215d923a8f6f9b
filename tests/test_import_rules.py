"""Who may import whom, and when: the core without a framework, the meaning of names without files, help at once."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from conftest import FIXTURES
from support.command_line import run_program

from electra_convert.cli import COMMANDS

PACKAGE = Path(__file__).parent.parent / "electra_convert"
MODULES = sorted(PACKAGE.rglob("*.py"))
FRAMEWORKS = {"tensorflow", "torch", "transformers", "jax", "flax", "keras", "h5py"}
# Imported by no module before it is used.
HEAVY = FRAMEWORKS | {"tokenizers", "huggingface_hub", "rich", "starlette", "uvicorn", "jinja2"}
HEAVY |= {"accelerate", "matplotlib", "pyarrow"}
# Modules of pretraining may import torch, of which their classes are made; nothing imports them before they are used.
TRAINING = PACKAGE / "pretraining"
# What may import it: itself, the commands that train with what they show, fine-tuning, which builds on it, and what
# reads rows as a corpus is read.
TRAINS = (
    TRAINING,
    PACKAGE / "finetuning",
    PACKAGE / "scoring",
    *(PACKAGE / "cli" / f"{name}.py" for name in ("pretrain", "finetune", "training_display", "score")),
)
# From the ground up: a part imports those before it, and itself.
LAYERS = """
    version errors exchange locks caches processor frameworks metrics tensors formats hub.errors hub.answers
    hub.guard hub.client hub.cache hub.needed hub.download schemes checkpoint config tokenizer graphs output pages
    pytorch provenance verification conversion demo reproduction hub.card hub site pretraining finetuning scoring cli
    __main__
""".split()
# Parts that hold meaning and no files: from outside they import the standard library and numpy alone.
PURE = (
    "schemes.family",
    "schemes.mapping",
    "schemes.heads",
    "schemes.training_state",
    "schemes.layouts",
    "config.keys",
    "config.hparams",
)
BLOCKED = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FRAMEWORKS!r}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Block())
"""


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def part_of(path: Path) -> str:
    return name_of(path).removeprefix("electra_convert").removeprefix(".")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def level(part: str) -> int:
    """How far above the ground a module is: the place of the longest of the layers' names that it begins with."""
    names = {layer for layer in LAYERS if f"{part}.".startswith(f"{layer}.")}
    return LAYERS.index(max(names, key=len))


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere below, for type checking alone too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield str(node.module)


def modules_imported(tree: ast.AST, known: Collection[str]) -> set[str]:
    """The known modules that are imported anywhere below; one taken out of its package is that one alone."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {member if member in known else str(node.module) for member in members}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found.intersection(known)


def at_module_level(tree: ast.Module) -> Iterator[str]:
    """What is imported when the module is."""
    for node in tree.body:
        for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not for_types and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from imports(node)


def when_run(node: ast.AST) -> Iterator[str]:
    """What a module and its functions can import while they run, by a statement or by a call."""
    if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
        children = node.orelse
    else:
        children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from imports(node)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
        # A name is written out, or begins with what is: f"electra_convert.{...}".
        name = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
        assert isinstance(name, ast.Constant), f"an import that cannot be told: {ast.unparse(node)}"
        yield str(name.value)
    for child in children:
        yield from when_run(child)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(path):
    docstring = ast.get_docstring(tree_of(path))
    assert docstring
    assert docstring.splitlines()[0].strip()


def test_no_modules_import_each_other_in_a_circle():
    trees = {name_of(path): tree_of(path) for path in MODULES}
    del trees["electra_convert"]  # hands on names from everywhere, when they are asked for
    TopologicalSorter({name: modules_imported(tree, trees) for name, tree in trees.items()}).prepare()


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path)], ids=name_of)
def test_no_arrow_runs_up(path):
    """A part imports what lies below it, its own modules included, never what lies above."""
    own = level(part_of(path))
    imported = modules_imported(tree_of(path), {name_of(module) for module in MODULES})
    parts = {name.removeprefix("electra_convert.") for name in imported} - {"electra_convert"}
    assert not {part for part in parts if level(part) > own}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_imports_anything_heavy_before_it_is_used(path):
    allowed = {"torch"} if TRAINING in path.parents else set()
    assert not {name.partition(".")[0] for name in at_module_level(tree_of(path))} & (HEAVY - allowed)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_frameworks_are_imported_in_one_place_by_the_reference_model_and_in_pretraining(path):
    # The reference model finds the names in object-based checkpoints through a module that tensorflow does not show.
    allowed = {"frameworks": {"torch", "transformers", "tensorflow"}, "verification.reference.graph": {"tensorflow"}}
    expected = allowed.get(part_of(path), set())
    found = {name.partition(".")[0] for name in when_run(tree_of(path))} & FRAMEWORKS
    assert found - ({"torch"} if TRAINING in path.parents else set()) == expected


@pytest.mark.parametrize("path", [path for path in MODULES if not {*path.parents} & {*TRAINS}], ids=name_of)
def test_training_is_imported_by_its_commands_alone_and_only_when_they_run(path):
    tree, training = tree_of(path), ("electra_convert.pretraining", "electra_convert.finetuning")
    assert not [name for name in at_module_level(tree) if name.startswith(training)]
    if path not in TRAINS:
        assert not [name for name in when_run(tree) if name.startswith(training)]


def test_a_corpus_is_tokenised_and_a_run_prepared_with_every_framework_blocked():
    parts = ("run", "prepare", "corpus.cache", "batches", "run_folder", "run_record", "progress")
    statement = ", ".join(f"electra_convert.pretraining.{part}" for part in parts)
    ran = run_program(f"{BLOCKED}import {statement}")
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f():\n    import torch.nn", ["torch.nn"]),
        ("class A:\n    def f(self):\n        if self:\n            from torch import nn", ["torch"]),
        ("importlib.import_module('torch')", ["torch"]),
        ("import_module(f'torch.{name}')", ["torch."]),
        ("__import__('torch')", ["torch"]),
        ("if TYPE_CHECKING:\n    import torch", []),
        ("if TYPE_CHECKING:\n    import torch\nelse:\n    import jax", ["jax"]),
    ],
)
def test_an_import_is_seen_however_deep_and_however_written(text, found):
    assert list(when_run(ast.parse(text))) == found


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) in PURE], ids=name_of)
def test_names_and_hparams_import_nothing_from_outside_but_numpy(path):
    for name in imports(tree_of(path)):
        top = name.partition(".")[0]
        assert name.startswith("electra_convert.") or top in {*sys.stdlib_module_names, "numpy"}, name


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) in PURE[:4]], ids=name_of)
def test_the_table_of_names_reads_no_files(path):
    assert not {"io", "os", "pathlib", "shutil"} & {name.partition(".")[0] for name in imports(tree_of(path))}


@pytest.mark.parametrize("path", [path for path in MODULES if "formats" in path.parts], ids=name_of)
def test_containers_know_no_names_of_models(path):
    allowed = (
        "electra_convert.formats",
        "electra_convert.errors",
        "electra_convert.frameworks",
        "electra_convert.tensors.spec",
    )
    ours = [name for name in imports(tree_of(path)) if name.startswith("electra_convert")]
    assert all(name.startswith(allowed) for name in ours), ours


@pytest.mark.parametrize("path", sorted((PACKAGE / "verification" / "reference").glob("*.py")), ids=name_of)
def test_the_reference_model_shares_no_names_readers_or_configurations_with_the_rest(path):
    allowed = {"errors", "frameworks", "verification.reference.graph", "verification.reference.settings"}
    ours = {name.removeprefix("electra_convert.") for name in when_run(tree_of(path)) if "electra" in name}
    assert ours - {"electra_convert"} <= allowed


@pytest.mark.parametrize("path", [path for path in MODULES if "cli" not in path.parts], ids=name_of)
def test_nothing_prints_or_ends_the_program_outside_the_command_line(path):
    tree = tree_of(path)
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    # errors.warn_caller warns whoever called a public function.
    assert not called & {"print", "exit", "quit", "input", "sys.exit", "os._exit", "warnings.warn"} - (
        {"warnings.warn"} if part_of(path) == "errors" else set()
    )
    assert not [node for node in ast.walk(tree) if ast.unparse(node) in {"sys.stdout", "sys.stderr"}]
    if path.name != "__main__.py":
        assert not [name for name in imports(tree) if name == "click" or name.startswith("electra_convert.cli")]


def test_a_checkpoint_goes_there_and_back_with_every_framework_blocked(tmp_path):
    source = FIXTURES / "default"
    program = BLOCKED + (
        "from electra_convert import convert, inspect\n"
        "source, pair, back, vocab = sys.argv[1:]\n"
        "convert(source, pair, optimizer=True, vocab=vocab, max_shard_size=100_000)\n"
        "convert(pair, back, optimizer=True)\n"
        "print(inspect(pair, check=True).format, inspect(back, check=True).step)"
    )
    arguments = (source, tmp_path / "pair", tmp_path / "back", FIXTURES / "vocab.txt")
    ran = run_program(program, *arguments)
    assert (ran.code, ran.out, ran.err) == (0, "safetensors 4000\n", "")
    data = "model.ckpt-4000.data-00000-of-00001"
    assert (tmp_path / "back" / data).read_bytes() == (source / data).read_bytes()


def loaded_after(statement: str) -> set[str]:
    """The top-level packages that are loaded once a statement has run."""
    shown = "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    ran = run_program(f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\n{shown}")
    assert ran.code == 0, ran
    return set(ran.err.split())


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_is_there_without_numpy_or_a_framework(option):
    loaded = loaded_after(f"from electra_convert.cli import main; main(['{option}'])")
    assert "click" in loaded
    assert not loaded & (HEAVY | {"numpy", "safetensors"})


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_there_without_numpy_or_a_framework(command):
    loaded = loaded_after(f"from electra_convert.cli import main; main(['{command}', '--help'])")
    assert not loaded & (HEAVY | {"numpy", "safetensors"})


def test_importing_the_package_imports_nothing_else():
    assert not loaded_after("import electra_convert") & (HEAVY | {"numpy", "click", "safetensors"})
