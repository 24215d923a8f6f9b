"""verify on the command line: the verdict as text, JSON, page and exit status, and as a part of convert."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from conftest import FIXTURES
from support.command_line import run, run_program
from support.pairs import change_config, change_weights

from electra_convert.errors import SourceError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_reference")]
DEFAULT = FIXTURES / "default"


def spoil(pair):
    change_weights(pair / "generator", lambda weights: weights["generator_lm_head.bias"].__iadd__(1))


def test_a_pass_says_what_was_compared(pairs):
    ran = run("verify", DEFAULT, pairs["default"])
    assert (ran.code, ran.err) == (0, "")
    verdict = ran.out.split("\n\n")[0]
    assert verdict.startswith("Same model: discriminator and generator\n  ")
    for part in (
        "All 85 weights are equal bit for bit",
        "float32 on the CPU",
        "transformers 5.",
        "PyTorch 2.",
        "Google's graph on TensorFlow 2.",
        "the hidden states of 2 layers",
        "416 positions",
    ):
        assert part in verdict
    for part in ("single, paired, padded, one token, masked, random ids", "every position", "43 of 43", "10 of 10"):
        assert part in ran.out


def test_a_failure_exits_with_1_and_gives_the_reasons(pair_copy):
    pair = pair_copy()
    spoil(pair)
    ran = run("verify", DEFAULT, pair, "--weights-only")
    assert ran.code == 1
    verdict, reason, *rest = ran.out.splitlines()
    assert verdict == "Not the same model"
    assert reason.startswith("  generator: 1 of 42 weights is not equal: generator_lm_head.bias (1,500 of 1,500 el")
    assert "generator_lm_head.bias" not in "".join(rest)
    assert run("verify", DEFAULT, pair, "--weights-only", "-q") == replace(ran, out="Not the same model\n")


def test_json_holds_everything_and_nothing_else_is_printed(pairs):
    ran = run("verify", DEFAULT, pairs["default"], "--json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert (found["schema"], found["verdict"], found["reasons"]) == (1, "same", [])
    assert found["reference"] == {"name": "default", "format": "tensorflow", "path": str(DEFAULT)}
    assert list(found["models"]["discriminator"]["forward"]["stages"]) == [
        "embeddings",
        "layer 1",
        "layer 2",
        "logits",
    ]
    assert set(found["versions"]) == {"tensorflow", "transformers", "torch"}


def test_json_is_json_even_where_a_number_is_none(pair_copy):
    pair = pair_copy()
    name = "discriminator_predictions.dense.bias"
    change_weights(pair / "discriminator", lambda weights: weights[name].fill(float("nan")))
    ran = run("verify", DEFAULT, pair / "discriminator", "--json")
    assert ran.code == 1
    found = json.loads(ran.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["models"]["discriminator"]["forward"]["stages"]["logits"]["max_abs"] == "nan"


def test_a_page_and_the_record_are_written(pair_copy, tmp_path):
    pair = pair_copy()
    (tmp_path / "report.html").write_text("an older one")
    page = ("--html", tmp_path / "report.html")
    assert "already exists" in run("verify", DEFAULT, pair, *page).refusal()
    ran = run("verify", DEFAULT, pair, *page, "--overwrite", "--save", "-q")
    assert (ran.code, ran.out, ran.err) == (0, "Same model: discriminator and generator\n", "")
    assert "Same model" in (tmp_path / "report.html").read_text()
    written = [str(pair / role / "parity.json") for role in ("discriminator", "generator")]
    ran = run("verify", DEFAULT, pair, "--save", "--weights-only")
    assert [line.removeprefix("Note: Wrote ") for line in ran.err.splitlines()] == written
    told = json.loads(run("verify", DEFAULT, pair, "--save", "--json", *page, "--overwrite").out)["written"]
    assert told == [*written, str(tmp_path / "report.html")]
    saved = json.loads((pair / "discriminator" / "parity.json").read_text())
    assert saved["models"]["discriminator"]["forward"]["positions"] == 416


def test_a_page_that_cannot_be_written_is_an_error(pairs, tmp_path):
    place = tmp_path / "absent" / "report.html"
    ran = run("verify", DEFAULT, pairs["default"], "--weights-only", "--html", place)
    assert "absent is not a folder" in ran.refusal()


def test_a_recording_can_stand_for_the_reference(pairs):
    ran = run("verify", pairs["default"], "--golden", DEFAULT / "golden.npz")
    assert (ran.code, ran.err) == (0, "")
    assert "What this comparison cannot see:" in ran.out
    assert "Weights and configurations were not compared." in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((DEFAULT,), "Error: there is nothing to compare with"),
        ((DEFAULT, DEFAULT, "--weights-only", "--text", "a"), "Error: --weights-only runs nothing"),
        ((DEFAULT, DEFAULT, "--overwrite"), "Error: --overwrite replaces the file of --html, and there is none"),
    ],
)
def test_wrong_usage_exits_with_2(arguments, message):
    assert message in run("verify", *arguments).refusal(2)


# One model alone


def test_one_model_alone_is_made_again_and_held_to_that(pair_copy):
    pair = pair_copy() / "generator"
    ran = run("verify", pair, "--source", DEFAULT)
    assert (ran.code, ran.err) == (0, "")
    verdict, _, model, source, *files = ran.out.splitlines()
    assert verdict == "Reproduced: every file is what convert makes of its source"
    assert (model, source) == (f"Model: {pair}", f"Source: {DEFAULT}")
    assert "  identical  model.safetensors" in files
    change_config(pair, hidden_act="relu")
    ran = run("verify", pair, "--source", DEFAULT)
    assert (ran.code, ran.out.splitlines()[0]) == (1, "Not reproduced")
    assert ran.out.splitlines()[1].startswith('  config.json: hidden_act is "relu", expected "gelu" (from byte ')
    assert run("verify", pair, "--source", DEFAULT, "-q") == replace(ran, out="Not reproduced\n")


def test_json_of_one_model_has_keys_of_its_own(pairs):
    ran = run("verify", pairs["default"], "--source", DEFAULT, "--json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert list(found) == [
        "schema", "verdict", "model", "commit", "source", "files", "reasons", "notes", "versions",
    ]  # fmt: skip
    assert (found["verdict"], found["commit"], found["reasons"]) == ("reproduced", None, [])
    assert found["files"]["generator/vocab.txt"] == {"state": "identical", "told": ""}


def test_one_model_alone_goes_with_no_option_of_a_comparison(pairs, tmp_path):
    for option in (
        ["--weights-only"],
        ["--save"],
        ["--task", "mrpc"],
        ["--text", "a"],
        ["--html", tmp_path / "a.html"],
    ):
        said = run("verify", pairs["default"], *option).refusal(2)
        assert f"there is nothing to compare with, as {option[0]} does" in said
    said = run("verify", DEFAULT, pairs["default"], "--source", DEFAULT).refusal(2)
    assert "--source is of one model alone" in said
    said = run("verify", pairs["default"]).refusal(2)
    assert "was converted from files that were on no Hub: checkpoint, hparams.json" in said
    assert "Hint: Give them with --source PATH." in said
    assert "does not exist" in run("verify", tmp_path / "absent").refusal()


@pytest.mark.parametrize("option", ["--weights-only", "--golden"])
def test_with_every_framework_missing_weights_can_be_compared(pairs, option):
    blocked = "import sys\nfor name in ('tensorflow', 'torch', 'transformers'):\n    sys.modules[name] = None\n"
    program = f"{blocked}from electra_convert.cli import main\nmain()"
    if option == "--weights-only":
        ran = run_program(program, "verify", DEFAULT, pairs["default"], option)
        assert (ran.code, ran.err) == (0, "")
    else:
        ran = run_program(program, "verify", DEFAULT, pairs["default"], option, DEFAULT / "golden.npz")
        assert "pip install 'electra-convert[torch]'" in ran.refusal()


def test_the_task_and_its_labels_can_be_said(tmp_path):
    source, folder = FIXTURES / "finetuned" / "mrpc_chunk", tmp_path / "mrpc"
    vocabulary = ("--vocab", FIXTURES / "vocab.txt")
    assert run("convert", source, folder, "--task", "mrpc", "--labels", "no,yes", *vocabulary, "-q").code == 0
    said = run("verify", source, folder, "--weights-only", "--task", "mrpc", "--labels", "no,yes", "--json")
    assert (said.code, said.err) == (0, "")
    settings = json.loads(said.out)["models"]["discriminator"]["settings"]
    assert settings["id2label"] == {
        "reference": {"0": "no", "1": "yes"},
        "origin": "--labels",
        "candidate": {"0": "no", "1": "yes"},
        "state": "equal",
    }
    unsaid = run("verify", source, folder, "--weights-only")
    assert unsaid.code == 1
    assert "id2label is {'0': 'no', '1': 'yes'}, the reference has {'0': '0', '1': '1'}" in unsaid.out
    golden = ("--golden", source / "golden.npz", "--labels", "no,yes")
    assert "--labels and --exclude are of the reference" in run("verify", folder, *golden).refusal(2)


# As part of convert


def test_convert_verifies_what_it_wrote_and_keeps_the_record(tmp_path):
    for source, output in ((DEFAULT, tmp_path / "pair"), (tmp_path / "pair", tmp_path / "back")):
        ran = run("convert", source, output, "--verify", "-q")
        assert (ran.code, ran.err) == (0, ""), ran
    parity = json.loads((tmp_path / "pair/generator/parity.json").read_text())
    assert (parity["verdict"], parity["candidate"]["name"]) == ("same", "pair")
    assert json.loads((tmp_path / "back/parity.json").read_text())["verdict"] == "same"


def test_convert_leaves_nothing_where_verification_fails(tmp_path, monkeypatch):
    from electra_convert.tensors.cast import cast

    def careless(piece, tensor, dtype, finite):
        rounded = bytearray(cast(piece, tensor, dtype, finite))
        rounded[0] ^= 1
        return memoryview(rounded)

    monkeypatch.setattr("electra_convert.tensors.transfer.cast", careless)
    said = run("convert", DEFAULT, tmp_path / "out", "--dtype", "bfloat16", "--verify").refusal()
    assert "out is not written, since it would not be the same model" in said
    assert "weights are not equal" in said
    assert list(tmp_path.iterdir()) == []


def test_convert_does_not_say_that_models_differ_where_one_could_not_be_run(tmp_path, monkeypatch):
    def out_of_memory(*_):
        raise SourceError("there was not enough memory")

    monkeypatch.setattr("electra_convert.verification.runners.load_folder", out_of_memory)
    said = run("convert", DEFAULT, tmp_path / "out", "--model", "generator", "--verify").refusal()
    assert "out is not written, since it was not shown to be the same model as" in said
    assert "Hint: Without --verify it is written" in said
    assert list(tmp_path.iterdir()) == []


def test_convert_verifies_by_the_options_it_was_given(golden_copy, tmp_path, pairs):
    source = golden_copy(without=("hparams.json", "*.meta"))
    hparams = (DEFAULT / "hparams.json").read_text()
    assert run("convert", source, tmp_path / "out", "--verify", "--hparams", hparams, "-q").code == 0
    assert json.loads((tmp_path / "out/discriminator/config.json").read_text())["num_attention_heads"] == 2
    pair = pairs["default"]
    both = ("--generator", pair / "generator")
    assert run("convert", pair / "discriminator", tmp_path / "tf", *both, "--verify", "-q").code == 0


def test_verifying_a_dry_run_is_wrong_usage(tmp_path):
    said = run("convert", DEFAULT, tmp_path / "out", "--verify", "--dry-run").refusal(2)
    assert "--verify compares what was written" in said


def test_a_configuration_at_odds_with_the_weights_is_a_failure_and_no_error(pair_copy):
    pair = pair_copy()
    change_config(pair / "generator", max_position_embeddings=64)
    ran = run("verify", DEFAULT, pair / "generator")
    assert ran.code == 1
    assert "max_position_embeddings is 64, but the weights have 128" in ran.out
