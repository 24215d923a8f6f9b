"""Models of any architecture pretrain, resume to the bit, load in transformers, and are run by the demo."""

from __future__ import annotations

import json
import shutil
import signal

import numpy as np
import pytest
from conftest import FIXTURES
from support.pretraining import pretrain_until_killed, start

from electra_convert import convert, inspect, open_model
from electra_convert.cli import main
from electra_convert.errors import (
    ConfigError,
    CorruptFileError,
    NamesError,
    NotElectraError,
    TrainingError,
    UsageError,
)

pytestmark = pytest.mark.slow

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 65,
}
OTHERS = {
    "bert": {},
    "modernbert": {"local_attention": 16},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0},
    "roberta": {},
    "electra": {"embedding_size": 16},
}
TRAINING = {
    "num_train_steps": 8,
    "num_warmup_steps": 2,
    "train_batch_size": 8,
    "eval_batch_size": 8,
    "max_seq_length": 64,
    "learning_rate": 3e-3,
    "save_checkpoints_steps": 4,
}
SENTENCE = "Return the list of banana."


def designs(kind: str, **changed) -> dict:
    discriminator = {"model_type": kind, **SIZES, **OTHERS[kind], **changed}
    return {"discriminator": discriminator, "generator": {**discriminator, "num_hidden_layers": 1}}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run of each architecture, made once; not to be changed."""
    import torch

    from electra_convert import pretrain

    torch.set_num_threads(1)
    runs = {}

    def run(kind: str):
        if kind not in runs:
            place = tmp_path_factory.mktemp(kind.replace("-", "_")) / "run"
            given = {"vocab": FIXTURES / "vocab.txt", "hparams": TRAINING, "log_steps": 1, "held_out": 0.05}
            cache = tmp_path_factory.getbasetemp() / "tokenised"
            runs[kind] = pretrain(FIXTURES / "corpus", place, **designs(kind), **given, cache=cache)
        return runs[kind]

    return run


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def losses(output, kind="train"):
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == kind]


@pytest.mark.parametrize("kind", OTHERS)
def test_every_architecture_learns_and_each_model_loads_in_transformers_as_its_class(kept, kind):
    import torch
    import transformers
    from safetensors.torch import load_file

    run = kept(kind)
    rows = losses(run.output)
    assert rows[-1]["masked_lm_loss"] < rows[0]["masked_lm_loss"] - 0.5
    assert rows[-1]["disc_loss"] < rows[0]["disc_loss"]
    generator, found = transformers.AutoModelForMaskedLM.from_pretrained(
        run.model / "generator", output_loading_info=True
    )
    assert not found["missing_keys"] | found["unexpected_keys"]
    folder = run.model / "discriminator"
    encoder, found = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not [name for name in found["missing_keys"] | found["unexpected_keys"] if "pooler" not in name]
    head = load_file(folder / "replaced_token_detection.safetensors")
    encoded = transformers.AutoTokenizer.from_pretrained(folder)(SENTENCE, return_tensors="pt")
    with torch.no_grad():
        hidden = encoder(**encoded)[0]
        wide = torch.nn.functional.gelu(hidden @ head["dense.weight"].T + head["dense.bias"])
        logits = wide @ head["dense_prediction.weight"].T + head["dense_prediction.bias"]
        filled = generator(**encoded).logits
    scored = open_model(run.model).score(SENTENCE)[0]
    assert [token.probability for token in scored.tokens] == pytest.approx(
        logits.sigmoid()[0, 1:-1, 0].tolist(), abs=1e-6
    )
    assert filled.shape[-1] == 1500


@pytest.mark.parametrize("kind", OTHERS)
def test_embeddings_are_shared_and_what_both_write_of_them_is_equal(kept, kind):
    from safetensors.numpy import load_file

    run = kept(kind)
    assert any("share their embeddings" in line for line in run.notes)
    own, other = (load_file(run.model / role / "model.safetensors") for role in ("discriminator", "generator"))
    [name] = [name for name in own if name.endswith(("word_embeddings.weight", "tok_embeddings.weight"))]
    [same] = [one for one in other if one.endswith(name)]
    np.testing.assert_array_equal(own[name], other[same])


def test_embeddings_of_their_own_are_an_hparam_and_unequal_widths_share_none(pretrained):
    hparams = {**TRAINING, "num_train_steps": 1}
    apart = pretrained("apart", hparams={**hparams, "untied_generator_embeddings": True}, **designs("bert"))
    given = designs("bert")
    given["generator"] |= {"hidden_size": 16}
    narrow = pretrained("narrow", hparams=hparams, **given)
    for run in (apart, narrow):
        assert any("share no embeddings" in line for line in run.notes)


@pytest.mark.parametrize("kind", ["modernbert", "deberta-v2"])
def test_a_run_that_is_killed_and_resumed_ends_as_one_that_was_not(kept, pretrained, tmp_path, kind):
    whole, place = kept(kind), tmp_path / "killed"
    given = {"hparams": TRAINING, "log_steps": 1, "held_out": 0.05, "cache": tmp_path / "cache"}
    options = {**given, "vocab": FIXTURES / "vocab.txt", **designs(kind)}
    process = start(pretrain_until_killed, 6, False, FIXTURES / "corpus", place, options)
    process.join(240)
    assert process.exitcode == -signal.SIGKILL
    assert [path.name for path in (place / "checkpoints").iterdir()] == ["step-4"]
    # What the run is of, its record says.
    resumed = pretrained("killed", **{**given, "vocab": None}, resume=True)
    assert files(resumed.model) == files(whole.model)
    assert [row["masked_lm_loss"] for row in losses(place)] == [row["masked_lm_loss"] for row in losses(whole.output)]


def test_a_run_is_not_resumed_with_other_configurations(kept, pretrained, tmp_path):
    shutil.copytree(kept("bert").output, tmp_path / "again")
    with pytest.raises(TrainingError, match=r"^models was .* when the run began"):
        pretrained("again", hparams=TRAINING, held_out=0.05, resume=True, **designs("bert", hidden_size=64))


def test_a_checkpoint_of_a_run_that_was_stopped_early_holds_each_model(kept):
    place = kept("modernbert").output / "checkpoints" / "step-4" / "model"
    assert open_model(place).score(SENTENCE)
    assert open_model(place, "generator").fill("Return the [MASK].")


def test_the_demo_opens_a_generator_alone_and_corrupts_with_a_pair(kept, tmp_path, capsys):
    run = kept("modernbert")
    shutil.copytree(run.model / "generator", tmp_path / "generator")
    [filled] = open_model(tmp_path / "generator", "generator").fill("Return the [MASK].", count=2)
    assert len(filled[0].candidates) == 2
    with pytest.raises(NamesError, match="holds a generator and no discriminator"):
        open_model(tmp_path / "generator")
    main(["demo", str(run.model), SENTENCE, "--corrupt", "50%", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("option", [{"cased": True}, {"vocab": FIXTURES / "vocab.txt"}, {"hparams": {"debug": True}}])
def test_no_option_changes_how_such_a_model_is_read(kept, option):
    with pytest.raises(UsageError, match="is as pretrain left it, with a tokenizer and a configuration"):
        open_model(kept("bert").model, **option)


def test_a_head_that_computes_otherwise_is_refused(kept, tmp_path):
    folder = shutil.copytree(kept("bert").model / "discriminator", tmp_path / "discriminator")
    path = folder / "replaced_token_detection.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "computes": [{"activation": "silu"}]}))
    with pytest.raises(CorruptFileError, match=r"a step of its head is \{'activation': 'silu'\}, expected a linear"):
        open_model(folder)
    path.write_text(json.dumps({**record, "computes": [{"linear": "wide"}]}))
    with pytest.raises(NamesError, match=r"lacks wide\.weight, which its record names"):
        open_model(folder)


@pytest.mark.parametrize("use", ["convert", "inspect"])
def test_googles_layouts_have_no_place_for_it(kept, tmp_path, use):
    run = kept("bert")
    with pytest.raises(NotElectraError, match="holds a BertModel with a discriminator's head beside it") as caught:
        convert(run.model, tmp_path / "out", to="tf") if use == "convert" else inspect(run.model)
    assert "demo runs both" in caught.value.hint


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"model_type": "nothing"},
            "^discriminator is of the architecture 'nothing', of which .* has no encoder",
        ),
        ({"model_type": "gpt2"}, "^discriminator is of the architecture 'gpt2', which is no encoder of tokens"),
        ({"is_decoder": True}, "^discriminator is of the architecture 'bert', which is no encoder of tokens"),
        ({"model_type": "bart"}, "^discriminator is of the architecture 'bart', which is no encoder of tokens"),
        ({"model_type": "vit"}, "^discriminator is of the architecture 'vit', which is no encoder of tokens"),
        (
            {"num_attention_heads": 5},
            "^discriminator is nothing that transformers makes .*: The hidden size",
        ),
        ({"max_position_embeddings": 32}, "^max_seq_length is 64, but the discriminator has 32 positions"),
    ],
)
def test_what_transformers_cannot_make_is_refused_before_anything_is_tokenised(pretrained, tmp_path, changed, said):
    given = {role: {**design, **changed} for role, design in designs("bert").items()}
    with pytest.raises(ConfigError, match=said):
        pretrained(hparams=TRAINING, cache=tmp_path / "cache", **given)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()


def test_a_generator_needs_a_masked_language_model(pretrained, tmp_path):
    given = {**designs("bert"), "generator": {"model_type": "gpt2", **SIZES}}
    with pytest.raises(ConfigError, match=r"^generator is of the architecture 'gpt2', of which .* has no masked"):
        pretrained(hparams=TRAINING, **given)


def test_where_padding_has_positions_sequences_begin_after_it(pretrained):
    given = {role: {**design, "max_position_embeddings": 64} for role, design in designs("roberta").items()}
    with pytest.raises(ConfigError, match="but the discriminator has 63 positions"):
        pretrained(hparams=TRAINING, **given)


def test_a_vocabulary_of_another_size_than_the_configuration_states_is_told(pretrained):
    given = {role: {**design, "vocab_size": 30522} for role, design in designs("bert").items()}
    run = pretrained(hparams={**TRAINING, "num_train_steps": 1}, **given)
    assert "The vocabulary has 1,500 pieces, and so have the models; generator states 30,522." in run.notes
    config = json.loads((run.model / "generator" / "config.json").read_text())
    assert (config["vocab_size"], config["pad_token_id"]) == (1500, 0)


@pytest.mark.parametrize("kind", OTHERS)
def test_weight_decay_is_for_all_but_norms_and_biases(kind):
    """By the types of the modules, however they are called."""
    from electra_convert.pretraining.architectures import make_pair
    from electra_convert.pretraining.optimizer import is_decayed

    ids = {token: number for number, token in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))}
    networks = make_pair(designs(kind), ids, 64, False, 0, False)
    for network in networks.values():
        for name, module in network.named_modules():
            for part, parameter in module.named_parameters(recurse=False):
                is_norm = "Norm" in type(module).__name__
                assert is_decayed(parameter) == (not is_norm and "bias" not in part), f"{name}.{part}"
