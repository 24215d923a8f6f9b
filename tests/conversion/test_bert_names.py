"""ELECTRA under BERT's names: what BERT computes to the bit goes there and comes back; the rest is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES
from safetensors.numpy import load_file, save_file
from support.command_line import refused, run

from electra_convert import convert, inspect, open_model, verify, write_card
from electra_convert.errors import ConfigError, NamesError, SourceError, UsageError

EQUAL = FIXTURES / "equal_widths"
ROLES = ("discriminator", "generator")
# Classes of both families, and what stands on the encoder in each.
CLASSES = {
    "ElectraForMaskedLM": "BertForMaskedLM",
    "ElectraForTokenClassification": "BertForTokenClassification",
    "ElectraForQuestionAnswering": "BertForQuestionAnswering",
    "ElectraForPreTraining": "BertModel",
    "ElectraModel": "BertModel",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The golden checkpoint of one width under both families' names."""
    place = tmp_path_factory.mktemp("names")
    return {name: convert(EQUAL, place / name, model_type=name).output for name in ("electra", "bert")}


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path):
    """Copies a model's folder under BERT's names, for a test to change."""
    return lambda role: Path(shutil.copytree(folders["bert"] / role, tmp_path / f"copy_of_{role}"))


def config_of(folder: Path) -> dict[str, object]:
    return json.loads((folder / "config.json").read_text())


def change_json(path: Path, **changes: object) -> None:
    """Change keys of a JSON object, or with None take them out."""
    kept = {key: value for key, value in {**json.loads(path.read_text()), **changes}.items() if value is not None}
    path.write_text(json.dumps(kept))


def with_head(folder: Path, architecture: str, place: Path, **settings: object) -> Path:
    """ELECTRA's discriminator with another class of transformers around its encoder."""
    shutil.copytree(folder, place)
    tensors = load_file(place / "model.safetensors")
    rng = np.random.default_rng(5)
    made = {
        "ElectraForTokenClassification": {"classifier.weight": (3, 32), "classifier.bias": (3,)},
        "ElectraForQuestionAnswering": {"qa_outputs.weight": (2, 32), "qa_outputs.bias": (2,)},
        "ElectraForSequenceClassification": {
            "classifier.dense.weight": (32, 32),
            "classifier.dense.bias": (32,),
            "classifier.out_proj.weight": (3, 32),
            "classifier.out_proj.bias": (3,),
        },
        "ElectraForMultipleChoice": {"classifier.weight": (1, 32), "summary.weight": (32, 32)},
        "ElectraModel": {},
    }[architecture]
    kept = {name: array for name, array in tensors.items() if name.startswith("electra.")}
    kept |= {name: rng.standard_normal(shape).astype(np.float32) for name, shape in made.items()}
    if not made:
        kept = {name.removeprefix("electra."): array for name, array in kept.items()}
    save_file(kept, place / "model.safetensors", {"format": "pt"})
    change_json(place / "config.json", architectures=[architecture], **settings)
    return place


@pytest.fixture
def in_electra(folders: dict[str, Path], tmp_path: Path):
    """A model folder of a class under ELECTRA's names, of one width."""

    def make(architecture: str, **settings: object) -> Path:
        if architecture in ("ElectraForMaskedLM", "ElectraForPreTraining"):
            role = "generator" if architecture == "ElectraForMaskedLM" else "discriminator"
            return folders["electra"] / role
        return with_head(folders["electra"] / "discriminator", architecture, tmp_path / architecture, **settings)

    return make


def outputs_of(model, *names: str):
    """What a model computes for random ids, padded and in two segments."""
    import torch

    rng = np.random.default_rng(0)
    ids, mask, types = rng.integers(0, 246, (3, 20)), np.ones((3, 20), int), np.zeros((3, 20), int)
    mask[1, 13:] = mask[2, 2:] = 0
    types[:, 9:] = 1
    with torch.no_grad():
        computed = model.eval()(
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(mask),
            token_type_ids=torch.from_numpy(types),
            output_hidden_states=True,
        )
    return [*computed.hidden_states, *(computed[name] for name in names)]


@pytest.mark.slow
@pytest.mark.parametrize(("electra", "bert"), CLASSES.items())
def test_berts_class_loads_every_weight_and_computes_every_layer_to_the_bit(in_electra, electra, bert, tmp_path):
    import transformers

    labels = {"id2label": {"0": "A", "1": "B", "2": "C"}} if "Token" in electra else {}
    source = in_electra(electra, **labels)
    folder = convert(source, tmp_path / "bert", model_type="bert").output
    assert config_of(folder)["architectures"] == [bert]
    given = {"add_pooling_layer": False} if bert == "BertModel" else {}
    model, info = getattr(transformers, bert).from_pretrained(folder, output_loading_info=True, **given)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    answers = {"BertForQuestionAnswering": ("start_logits", "end_logits"), "BertModel": ()}.get(bert, ("logits",))
    there = outputs_of(getattr(transformers, electra).from_pretrained(source), *answers)
    here = outputs_of(model, *answers)
    assert len(here) == 3 + len(answers)
    assert all((one == other).all() for one, other in zip(here, there, strict=True))
    if labels:
        assert model.config.id2label == {0: "A", 1: "B", 2: "C"}


@pytest.mark.slow
def test_it_computes_what_googles_graph_recorded(folders):
    report = verify(None, folders["bert"], golden=EQUAL / "golden.npz")
    assert report.passed
    stages = [stage for role in ROLES for stage in report.models[role].outputs.stages]
    assert [stage.name for stage in stages] == ["layer 1", "layer 2", "layer 1", "layer 2", "logits"]
    assert all(stage.figures.max_abs < 1e-5 for stage in stages)


@pytest.mark.slow
@pytest.mark.usefixtures("shared_reference")
@pytest.mark.parametrize("reference", ["tensorflow", "electra"])
def test_verify_holds_a_folder_by_berts_names_against_its_source(folders, reference: str):
    source = EQUAL if reference == "tensorflow" else folders["electra"]
    report = verify(source, folders["bert"])
    assert report.passed
    assert [len(report.models[role].weights.tensors) for role in ROLES] == [37, 42]
    assert any("A head is not compared" in note and "discriminator_predictions" in note for note in report.notes)


def test_verify_finds_a_weight_that_differs_by_its_name_in_electra(folders, copied):
    folder = copied("generator")
    tensors = load_file(folder / "model.safetensors")
    tensors["cls.predictions.transform.dense.bias"][3] += 1
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    report = verify(folders["electra"] / "generator", folder, weights_only=True)
    (found,) = report.models["generator"].weights.differing
    assert (found.name, found.elements) == ("generator_predictions.dense.bias", 1)


def test_a_generator_comes_back_byte_for_byte_and_a_discriminator_without_its_head(folders, tmp_path: Path):
    back = convert(folders["bert"], tmp_path / "back", to="safetensors").output
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        assert (back / "generator" / name).read_bytes() == (folders["electra"] / "generator" / name).read_bytes()
    places = (back, folders["electra"])
    encoder, whole = (load_file(place / "discriminator" / "model.safetensors") for place in places)
    assert set(whole) - {f"electra.{name}" for name in encoder} == {
        f"discriminator_predictions.{layer}.{part}"
        for layer in ("dense", "dense_prediction")
        for part in ("weight", "bias")
    }
    assert all(whole[f"electra.{name}"].tobytes() == array.tobytes() for name, array in encoder.items())
    assert config_of(back / "discriminator") == {
        **config_of(folders["electra"] / "discriminator"),
        "architectures": ["ElectraModel"],
    }


def test_it_goes_to_tensorflow_as_it_would_from_electras_names(folders, tmp_path: Path):
    ways = [convert(folders[name] / "generator", tmp_path / name).output for name in ("electra", "bert")]
    one, other = (next(way.glob("*.data-*")).read_bytes() for way in ways)
    assert one == other


def test_every_file_says_bert_and_conversion_json_records_it(folders):
    for role, architecture in zip(ROLES, ("BertModel", "BertForMaskedLM"), strict=True):
        config = config_of(folders["bert"] / role)
        assert (config["model_type"], config["architectures"]) == ("bert", [architecture])
        assert config["position_embedding_type"] == "absolute"
        assert "embedding_size" not in config
        assert config_of(folders["bert"] / role) | {"x": 0} != config_of(folders["electra"] / role)
        tokenizer = json.loads((folders["bert"] / role / "tokenizer_config.json").read_text())
        assert tokenizer["tokenizer_class"] == "BertTokenizer"
        record = json.loads((folders["bert"] / role / "conversion.json").read_text())
        names = {row["output"] for row in record["tensors"]}
        assert record["model_type"] == "bert"
        assert names == set(load_file(folders["bert"] / role / "model.safetensors"))
        assert not any("electra" in name or "generator" in name for name in names)
        assert "model_type" not in json.loads((folders["electra"] / role / "conversion.json").read_text())


def test_a_tokenizer_that_is_kept_keeps_all_but_the_name_of_its_class(folders, tmp_path: Path):
    source = tmp_path / "source"
    shutil.copytree(folders["electra"] / "generator", source)
    path = source / "tokenizer_config.json"
    change_json(path, tokenizer_class="ElectraTokenizerFast", note='"tokenizer_class": "ElectraTokenizer"')
    written = convert(source, tmp_path / "out", model_type="bert").output / "tokenizer_config.json"
    before, after = (json.loads(place.read_text()) for place in (path, written))
    assert after == {**before, "tokenizer_class": "BertTokenizerFast"}
    same = convert(source, tmp_path / "same", to="safetensors").output
    assert (same / path.name).read_bytes() == path.read_bytes()


def test_what_is_left_out_is_told_in_a_line_each(folders, tmp_path: Path):
    result = convert(EQUAL, tmp_path / "out", model_type="bert")
    (head,) = (notice for notice in result.notices if "head" in notice)
    assert head.startswith("Left out, the discriminator's head (replaced token detection), for which BERT has no")
    assert sum("take last_hidden_state, not pooler_output" in notice for notice in result.notices) == 1
    assert result.parameters["discriminator"] < inspect(EQUAL).models["discriminator"].parameters
    alone = convert(EQUAL, tmp_path / "generator", model_type="bert", model="generator")
    assert not any("pooler" in notice or "Left out" in notice for notice in alone.notices)
    assert (alone.model_type, alone.to) == ("bert", "safetensors")


def test_transformers_folders_go_to_safetensors_where_nothing_else_is_asked_for(folders, tmp_path: Path):
    assert convert(folders["electra"], tmp_path / "out", model_type="bert").to == "safetensors"
    assert convert(folders["electra"], tmp_path / "torch", model_type="bert", to="torch", dry_run=True).to == "torch"


# What is refused.


def test_small_is_refused_with_the_reason_before_anything_is_written(tmp_path: Path):
    said = refused(FIXTURES / "default", tmp_path, "--model-type", "bert")
    assert "its embeddings are 32 wide and its hidden states 64, and BERT has one width for both" in said
    assert "The generator has one: --model generator. Without --model-type it converts under ELECTRA's names." in said
    alone = convert(FIXTURES / "default", tmp_path / "alone", model_type="bert", model="generator")
    assert config_of(alone.output)["architectures"] == ["BertForMaskedLM"]


def test_a_generator_of_two_widths_is_left_out_unless_it_is_asked_for(written, tmp_path: Path):
    source = written("default", "projected_generator")
    result = convert(source, tmp_path / "out", model_type="bert")
    assert list(result.models) == ["discriminator"]
    assert (result.output / "model.safetensors").is_file()
    assert any("Left out, the generator, which BERT does not compute: its" in line for line in result.notices)
    for asked in ("generator", "both"):
        said = refused(source, tmp_path / asked, "--model-type", "bert", "--model", asked)
        assert "the generator has no place under BERT's names" in said
        assert "The discriminator has one: --model discriminator." in said


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("ElectraForSequenceClassification", "its pooler has a tanh where ELECTRA's head has a gelu"),
        ("ElectraForMultipleChoice", "its head is none that this tool knows"),
    ],
)
def test_a_head_that_bert_computes_otherwise_is_refused(in_electra, architecture: str, reason: str, tmp_path: Path):
    assert reason in refused(in_electra(architecture), tmp_path / "place", "--model-type", "bert")


def test_what_google_fine_tuned_is_refused_where_bert_computes_otherwise_and_written_where_not(
    tuned_for, tmp_path: Path
):
    classes = tuned_for("mnli", labels=3, sizes="one_width")
    with pytest.raises(NamesError, match=r"BertForSequenceClassification is not what Electra\w+ is \(its pooler"):
        convert(classes, tmp_path / "out", task="mnli", model_type="bert")
    shutil.rmtree(classes)
    source = tuned_for("chunk", labels=3, sizes="one_width")
    tags = convert(source, tmp_path / "tags", task="chunk", model_type="bert")
    assert config_of(tags.output)["architectures"] == ["BertForTokenClassification"]
    assert inspect(tags.output).models["discriminator"].architecture == "ElectraForTokenClassification"


def test_an_output_table_of_its_own_is_refused(folders, tmp_path: Path):
    source = tmp_path / "source"
    shutil.copytree(folders["electra"] / "generator", source)
    tensors = load_file(source / "model.safetensors")
    tensors["generator_lm_head.weight"] = tensors["electra.embeddings.word_embeddings.weight"] * 2
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    change_json(source / "config.json", tie_word_embeddings=False)
    with pytest.raises(NamesError, match="its output table is not its word embeddings"):
        convert(source, tmp_path / "out", model_type="bert")


def test_a_generator_whose_head_is_computed_with_gelu_and_the_rest_is_not_is_refused(folders, tmp_path: Path):
    """transformers computes ELECTRA's so; Google's code, and BERT, all of it with hidden_act."""
    source = tmp_path / "source"
    shutil.copytree(folders["electra"] / "generator", source)
    change_json(source / "config.json", hidden_act="relu")
    with pytest.raises(ConfigError, match="and that of BERT with hidden_act"):
        convert(source, tmp_path / "out", model_type="bert")


@pytest.mark.slow
@pytest.mark.usefixtures("shared_reference")
def test_a_generator_of_googles_with_another_activation_is_computed_by_bert_alone(written, tmp_path: Path):
    source = written("masked_lm", "one_width")
    hparams = json.loads((source / "hparams.json").read_text())
    hparams.setdefault("model_hparam_overrides", {})["hidden_act"] = "relu"
    (source / "hparams.json").write_text(json.dumps(hparams))
    with pytest.raises(ConfigError, match="gelu whatever the configuration says"):
        convert(source, tmp_path / "out")
    result = convert(source, tmp_path / "bert", model_type="bert", verify=True)
    with pytest.raises(ConfigError, match="gelu whatever the configuration says"):
        convert(result.output, tmp_path / "back", to="safetensors")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"to": "tf"}, 'model_type="bert" does not go with to="tf"'),
        ({"optimizer": True}, 'optimizer=True does not go with model_type="bert"'),
        ({"model_type": "roberta"}, "model_type is 'roberta', expected electra or bert"),
    ],
)
def test_options_that_make_no_sense_with_it_are_refused(options: dict[str, object], reason: str, tmp_path: Path):
    with pytest.raises(UsageError, match=reason):
        convert(EQUAL, tmp_path / "out", **{"model_type": "bert", **options})
    assert not (tmp_path / "out").exists()


# What is read back, and what is not.


@pytest.mark.parametrize("record", ["missing", "without the mark", "of another kind"])
def test_bert_itself_stays_refused_whose_names_are_the_same(copied, record: str):
    for role, error, reason in (
        ("discriminator", ConfigError, "model_type is 'bert'; only 'electra' can be converted"),
        ("generator", SourceError, "is not an ELECTRA model: .* says that its model_type is 'bert'"),
    ):
        folder = copied(role)
        if record == "missing":
            (folder / "conversion.json").unlink()
        else:
            change_json(folder / "conversion.json", model_type=None if record == "without the mark" else ["bert"])
        with pytest.raises(error, match=reason):
            inspect(folder)


def test_a_missing_tensor_is_named_as_for_any_electra(copied):
    folder = copied("generator")
    tensors = load_file(folder / "model.safetensors")
    del tensors["bert.embeddings.LayerNorm.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(NamesError, match=r"not a complete ELECTRA generator: 1 tensor missing: electra\.embeddings"):
        inspect(folder)


def test_electras_names_in_a_folder_that_is_recorded_as_berts_are_refused(folders, copied):
    folder = copied("generator")
    shutil.copy(folders["electra"] / "generator" / "model.safetensors", folder)
    with pytest.raises(ConfigError, match="model_type is 'bert'; only 'electra' can be converted"):
        inspect(folder)


def test_a_pair_of_two_families_is_refused(folders, tmp_path: Path):
    pair = tmp_path / "pair"
    for name, role in zip(("bert", "electra"), ROLES, strict=True):
        shutil.copytree(folders[name] / role, pair / role)
    with pytest.raises(UsageError, match=r"goes by bert's \(discriminator\) and electra's \(generator\) names"):
        inspect(pair)


# What the other commands say of such a folder.


def test_inspect_says_by_whose_names_it_goes(folders):
    found = inspect(folders["bert"] / "generator")
    assert found.models["generator"].architecture == "ElectraForMaskedLM"
    assert "An ELECTRA model under BERT's names, as its conversion.json records." in found.warnings
    assert found.origins["generator"]["hidden_act"] == "config.json"


@pytest.mark.slow
def test_demo_says_where_the_head_is_that_an_encoder_lacks(folders):
    said = run("demo", folders["bert"] / "discriminator", "A text.").refusal()
    assert "an encoder under the names of bert, which have none for the pretraining head" in said
    assert "what it was converted from" in said


@pytest.mark.slow
def test_demo_fills_masks_as_with_electras_names(folders):
    guesses = [repr(open_model(folder, "generator").fill("The [MASK] runs.")) for folder in folders.values()]
    assert guesses[0] == guesses[1]


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_a_card_says_that_it_is_electra_by_berts_names(copied, role: str):
    folder = copied(role)
    text = write_card(folder)[0].text
    assert "[ELECTRA](https://arxiv.org/abs/2003.10555)" in text
    assert "Its tensors go by the names of another architecture, `bert`" in text
    assert "ElectraModel" not in text
    assert "WordPiece, uncased" in text
    assert "@inproceedings{clark2020electra," in text
    assert all(tag in text.partition("\n---\n")[0] for tag in ("- bert", "- electra"))
    alone = role == "discriminator"
    assert ("add_pooling_layer=False" in text) is alone
    assert ("use `last_hidden_state`, not `pooler_output`" in text) is alone
