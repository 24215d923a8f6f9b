"""The package as a Python program meets it: one list of names, real types, examples that run, errors in its words."""

from __future__ import annotations

import ast
import doctest
import inspect
import os
import pydoc
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from support.command_line import run_program

import electra_convert
from electra_convert.cli import COMMANDS
from electra_convert.errors import SWITCHES, ElectraConvertError, UsageError, arguments_for_options, with_arguments

ROOT = Path(__file__).parent.parent
FUNCTIONS = [name for name in electra_convert.__all__ if inspect.isroutine(getattr(electra_convert, name))]
# Those with examples: functions, and the class that a program makes by itself.
DOCUMENTED = [*FUNCTIONS, "Electra"]
# The function of a command, and what its options are called there where their names are others.
FUNCTION_OF = {
    "convert": "convert",
    "inspect": "inspect",
    "verify": "verify",
    "card": "write_card",
    "upload": "upload",
    "pretrain": "pretrain",
    "finetune": "finetune",
}
# What is about the printing of a command, and on the command line alone.
PRINTING = {(command, name) for command in COMMANDS for name in ("as_json", "quiet")}
PRINTING |= {("verify", "html"), ("verify", "overwrite"), ("inspect", "as_csv")}
# Of many models, which survey() looks at; a program makes its own plans.
PRINTING |= {("inspect", "plan"), ("upload", "plan")}
# Of one model alone, which is another function: reproduce.
PRINTING |= {("verify", "source")}
HUB = {"revision", "token", "subfolder"}


# One list.


def test_what_type_checkers_see_is_what_there_is():
    tree = ast.parse((ROOT / "electra_convert" / "__init__.py").read_text())
    (checking,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.asname: node.module for node in checking.body for alias in node.names}
    homes = {name: f"electra_convert.{home}" for name, home in electra_convert._API.items()}
    assert seen == homes
    assert all(alias.name == alias.asname for node in checking.body for alias in node.names)


def test_every_public_name_is_there_and_no_other():
    assert all(getattr(electra_convert, name) is not None for name in electra_convert.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        electra_convert.nothing  # noqa: B018


def test_completion_shows_the_api_before_any_of_it_is_imported():
    ran = run_program("import electra_convert; print([name for name in dir(electra_convert) if name[0] != '_'])")
    assert ast.literal_eval(ran.out) == sorted(name for name in electra_convert.__all__ if name[0] != "_")


def test_help_shows_every_function_and_class():
    shown = pydoc.plain(pydoc.render_doc(electra_convert))
    assert ">>> result = electra_convert.convert(" in shown
    for name in electra_convert.__all__:
        assert f"    {name}(" in shown or f"class {name}(" in shown or name == "__version__", name


def test_a_class_of_pytorch_without_pytorch_says_what_to_install_once_it_is_made():
    blocked = "import sys; sys.modules['torch'] = None\n"
    ran = run_program(
        f"{blocked}from electra_convert import *\n"
        "try:\n    Electra(None, None)\n"
        "except ElectraConvertError as error:\n    print(error.message, error.hint)"
    )
    assert ran.out.startswith("PyTorch is needed for Electra, and cannot be imported: ")
    assert ran.out.endswith(" pip install 'electra-convert[torch]'\n")


# Examples.


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the fixtures in it, as a reader of the examples would have."""
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *DOCUMENTED])
def test_every_function_has_an_example_that_runs(reader: Path, name: str, shared_reference, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True)
    documented = getattr(electra_convert, name) if name else electra_convert
    names = {public: getattr(electra_convert, public) for public in electra_convert.__all__}
    (found,) = doctest.DocTestFinder(recurse=False).find(documented, name or "electra_convert", globs=names)
    assert found.examples
    told: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(found, out=told.append)
    assert not told, "".join(told)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_is_explained_and_has_a_type(name: str):
    function = getattr(electra_convert, name)
    parameters = inspect.signature(function).parameters.values()
    section = inspect.getdoc(function).partition("\nArgs:\n")[2].partition("\n\n")[0]
    explained = [line.partition(":")[0].strip() for line in section.splitlines() if line[4:5] != " "]
    assert explained == [parameter.name for parameter in parameters]
    for parameter in parameters:
        assert parameter.kind is not inspect.Parameter.VAR_KEYWORD, parameter
        assert parameter.annotation not in {inspect.Parameter.empty, "Any"}, parameter


# Types.


def check_types(script: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run mypy on a user's script, which sees the package as an installed one; frameworks are not looked into."""
    (place / "script.py").write_text(script)
    (place / "mypy.ini").write_text(
        "[mypy]\nstrict = true\nfollow_imports = silent\n"
        "[mypy-torch.*,transformers.*,tensorflow.*,tokenizers.*,accelerate.*,huggingface_hub.*,matplotlib.*]\n"
        "follow_imports = skip\nignore_missing_imports = true\n"
    )
    command = [sys.executable, "-m", "mypy", "--cache-dir", place.parent / "mypy_cache", "script.py"]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


RIGHT = """\
from pathlib import Path

from electra_convert import ElectraConvertError, convert, inspect, open_checkpoint, load_model, load_state_dict
from electra_convert import Electra, verify
from torch import nn

try:
    result = convert(
        Path("run"), "out", to="tensorflow", hparams={"debug": True}, max_shard_size="2GB", uncased=True, verify=True
    )
    heads: int = result.configs["generator"]["num_attention_heads"]
    origin: str = result.origins["generator"]["num_attention_heads"]
    passed: bool = verify("run", "out", weights_only=True).passed
    step: int | None = inspect("hf://owner/name", revision="main", token="hf_...").step
    size: int = load_state_dict("run", "generator")["generator_lm_head.bias"].size
    load_state_dict("run", framework="torch")
    load_model("run", hparams=Path("hparams.json")).eval()
    trainer = Electra(nn.Linear(2, 2), nn.Linear(2, 2), mask_ignore_token_ids=[1, 2], discr_layer="encoder")
    with open_checkpoint("run") as checkpoint:
        parameters: int = checkpoint.models["discriminator"].parameters
except ElectraConvertError as error:
    print(error.message, error.hint)
"""
WRONG = """\
from electra_convert import Electra, convert, load_model
convert("run", "out", optimiser=True)
convert("run", "out", to="gguf")
convert("run", "out", max_shard_size=2.5)
load_model("run", "critic")
result: int = convert("run", "out")
Electra(None, None, mask_probability=0.1)
"""


@pytest.mark.slow
def test_a_users_script_sees_real_types_and_a_typo_is_a_type_error(tmp_path: Path):
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.mkdir()
    wrong.mkdir()
    assert check_types(RIGHT, right).stdout == "Success: no issues found in 1 source file\n"
    told = check_types(WRONG, wrong).stdout.splitlines()
    assert [line.split(":")[1] for line in told if ": error: " in line] == ["2", "3", "4", "5", "6", "7"]
    assert "optimiser" in told[0]
    assert '"optimizer"' in told[0]


def test_the_package_says_that_it_has_types():
    assert (ROOT / "electra_convert" / "py.typed").read_bytes() == b""


# Errors.


def options_of(command: str) -> list[click.Option]:
    parameters = import_module(f"electra_convert.cli.{command}").command.params
    return [parameter for parameter in parameters if isinstance(parameter, click.Option)]


OPTIONS = [(command, option) for command in COMMANDS for option in options_of(command)]


def test_the_options_without_a_value_are_known():
    flags = {
        name.removeprefix("--")
        for command, option in OPTIONS
        if option.is_flag and command not in {"demo"}
        for name in (*option.opts, *option.secondary_opts)
        if not name.startswith(("--no-", "--json", "--quiet", "--public")) and name.startswith("--")
    }
    assert flags == SWITCHES


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=lambda value: getattr(value, "name", value))
def test_an_option_in_a_message_is_an_argument_to_python(command: str, option: click.Option):
    for name, off in [*((name, False) for name in option.opts), *((name, True) for name in option.secondary_opts)]:
        if not name.startswith("--") or name in {"--json", "--quiet"}:
            continue
        said = with_arguments(f"Give {name}, or leave it out.")
        assert "--" not in said
        argument, _, value = said.removeprefix("Give ").removesuffix(", or leave it out.").partition("=")
        assert argument.isidentifier()
        if name.removeprefix("--") in {"uncased", "public"}:
            assert (argument, value) in {("uncased", "True"), ("private", "False")}
        elif name.removeprefix("--") in SWITCHES or off:
            assert value == str(not off)
        function = FUNCTION_OF.get(command)
        if function and (command, option.name) not in PRINTING:
            assert argument in inspect.signature(getattr(electra_convert, function)).parameters


@pytest.mark.parametrize("command", FUNCTION_OF)
def test_a_function_takes_what_its_command_takes(command: str):
    wanted = {option.name for option in options_of(command) if (command, option.name) not in PRINTING}
    taken = set(inspect.signature(getattr(electra_convert, FUNCTION_OF[command])).parameters)
    assert wanted <= taken
    # Those that a command takes by position, and those that a program alone has a use for.
    others = taken - wanted - HUB - {"uncased", "progress", "reporter", "show", "tell"}
    arguments = {one.name for one in import_module(f"electra_convert.cli.{command}").command.params}
    assert others <= arguments - wanted | {"folder"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("--max-shard-size is 0, expected 1 byte or more", "max_shard_size is 0, expected 1 byte or more"),
        ("--dtype float16 does not go with --to tf: Google's", 'dtype="float16" does not go with to="tf": Google\'s'),
        ("--[no-]strip-accents does not go", "strip_accents does not go"),
        ("or --no-strip-accents.", "or strip_accents=False."),
        ("--optimizer carries slots over: give one", "optimizer=True carries slots over: give one"),
        ("--prefix 'a/b' is not a name", "prefix='a/b' is not a name"),
        ("""with --hparams '{"debug": true}'. Or""", """with hparams='{"debug": true}'. Or"""),
        ("--hparams mine.json says 2, --config says 3", 'hparams="mine.json" says 2, config says 3'),
        ("Convert with --max-shard-size 5GB, so", 'Convert with max_shard_size="5GB", so'),
        ("one by one (--model).", "one by one (model=)."),
        ("it converts: --model generator.", 'it converts: model="generator".'),
        ("Or train one with --train-vocab SIZE.", "Or train one with train_vocab=SIZE."),
        ("--accumulate 2 would do", "accumulate=2 would do"),
        ("--private and --public are for", "private=True and private=False are for"),
    ],
)
def test_a_message_reads_as_a_program_would_write_it(said: str, meant: str):
    assert with_arguments(said) == meant
    assert with_arguments(meant) == meant


@pytest.mark.parametrize(
    "said",
    [
        "Run electra-convert verify SOURCE FOLDER --save.",
        "Run electra-convert verify without --weights-only, or not at all.",
        "Put it back: hf download a/b README.md --revision main --local-dir /a. Then try again.",
        "Give `accelerate launch --multi_gpu`.",
        "/tmp/--vocab/a--save is not there: -1 - --2",
    ],
)
def test_a_command_and_a_path_stay_as_they_are(said: str):
    assert with_arguments(said) == said


def test_an_argument_may_be_called_otherwise_than_its_option():
    assert with_arguments("--model generator, --vocab", model="role") == 'role="generator", vocab='


def test_the_error_that_is_raised_is_the_one_that_was_raised_with_its_hint_below_the_traceback():
    raised = UsageError("--vocab is empty", "Leave --vocab out.")
    with pytest.raises(ElectraConvertError, match=r"^vocab is empty") as caught, arguments_for_options():
        raise raised
    assert caught.value is raised
    assert (str(raised), raised.message, raised.hint) == ("vocab is empty",) * 2 + ("Leave vocab= out.",)
    assert raised.__notes__ == ["Hint: Leave vocab= out."]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: electra_convert.convert("x", "out", max_shard_size="much"), "'much' is not a size"),
        (lambda: electra_convert.convert("x", "out", to="gguf"), "^to is 'gguf', expected"),
        (lambda: electra_convert.convert("x", "out", dry_run=True, verify=True), "^verify=True .* dry_run=True"),
        (lambda: electra_convert.convert("x", "out", cased=True, uncased=True), "^cased=True and uncased=True are"),
        (lambda: electra_convert.convert("x", "out", vocab=3), "^vocab is 3, expected a path"),
        (lambda: electra_convert.inspect("x", hparams={"debug": {1}}), "^hparams cannot be written as JSON"),
        (
            lambda: electra_convert.inspect("x", revision="main"),
            "^x is a path; a source on the Hub alone has a revision",
        ),
    ],
)
def test_what_a_program_gets_wrong_is_told_in_its_words(call, said: str):
    with pytest.raises(UsageError, match=said):
        call()


# Results.


def test_results_are_short_to_look_at_and_plain_dictionaries_to_read(reader: Path):
    result = electra_convert.convert("fixtures/default", "my-pair")
    found = electra_convert.inspect("my-pair")
    assert repr(result) == (
        "<Conversion 'fixtures/default' -> 'my-pair': safetensors, discriminator of 158,529 parameters, generator of "
        f"80,252 parameters, 6 files, {sum(result.files.values()):,} bytes>"
    )
    assert repr(found) == (
        "<Inspection of 'my-pair': safetensors; discriminator of 158,529 parameters, generator of 80,252 parameters>"
    )
    assert repr(found.models["generator"]) == "<ModelReport ElectraForMaskedLM: 80,252 parameters>"
    for one, values in ((result, result.models), (found, {role: m.config for role, m in found.models.items()})):
        assert one.configs["discriminator"]["num_attention_heads"] == 2
        assert one.origins["discriminator"]["hidden_size"] == "weights"
        for role, config in values.items():
            assert one.configs[role] == {key: value.value for key, value in config.items()}
            assert one.origins[role] == {key: value.origin for key, value in config.items()}


def test_a_checkpoint_is_short_to_look_at_too(reader: Path):
    with electra_convert.open_checkpoint("fixtures/default") as checkpoint:
        models = "discriminator of 158,529 parameters, generator of 80,252 parameters"
        assert repr(checkpoint) == f"<Checkpoint 'fixtures/default': tensorflow; {models}>"
        assert repr(checkpoint.models["generator"]) == "<Model generator: ElectraForMaskedLM, 80,252 parameters>"


def test_a_dry_run_says_that_nothing_is_written(reader: Path):
    assert repr(electra_convert.convert("fixtures/default", "my-pair", dry_run=True)).endswith(" bytes, not written>")
    assert not (reader / "my-pair").exists()


# All of it.


@pytest.mark.slow
def test_the_script_of_a_transformers_user(reader: Path, shared_reference):
    """Load a model from a TensorFlow checkpoint, convert it after a typo, and see that it is the same."""
    import torch
    from transformers import ElectraForPreTraining

    model = electra_convert.load_model("fixtures/default")
    weights = electra_convert.load_state_dict("fixtures/default", "discriminator", framework="torch")
    assert all(torch.equal(parameter, weights[name]) for name, parameter in model.named_parameters())

    with pytest.raises(TypeError, match="unexpected keyword argument 'optimiser'"):
        electra_convert.convert("fixtures/default", "my-electra", optimiser=True)
    with pytest.raises(ElectraConvertError, match=r"vocab\.text"):
        electra_convert.convert("fixtures/default", "my-electra", vocab="fixtures/vocab.text")
    assert not (reader / "my-electra").exists()

    result = electra_convert.convert("fixtures/default", "my-electra", vocab="fixtures/vocab.txt")
    assert result.configs["discriminator"]["num_attention_heads"] == model.config.num_attention_heads
    converted = ElectraForPreTraining.from_pretrained("my-electra/discriminator")
    assert all(torch.equal(parameter, weights[name]) for name, parameter in converted.named_parameters())

    report = electra_convert.verify("fixtures/default", "my-electra")
    assert report.passed
    assert "same" in report._repr_html_()

    tiny = {"model_hparam_overrides": {"hidden_size": 64, "num_hidden_layers": 1}, "generator_layers": 1.0}
    options = {"vocab": "fixtures/vocab.txt", "hparams": tiny, "batch_size": 2, "cache": "cache"}
    with pytest.warns(electra_convert.ElectraWarning, match="warm-up"):
        run = electra_convert.pretrain("fixtures/corpus", "my-run", steps=1, warmup_steps=4, **options)
    assert any("warm-up" in line for line in run.warnings)
    shutil.rmtree("my-electra")
