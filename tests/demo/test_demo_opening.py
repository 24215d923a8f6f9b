"""Models opened from anything a person points at, with the same numbers; what cannot be opened, said plainly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES

import electra_convert
from electra_convert import convert, open_model, score
from electra_convert.errors import ConfigError, CorruptFileError, NamesError, SourceError, UsageError, VocabularyError

pytestmark = pytest.mark.slow
TEXT = "Return the value of the purple attribute."
VOCABULARY = FIXTURES / "vocab.txt"


def probabilities(source: Path, **options) -> list[float]:
    return [token.probability for token in score(open_model(source, **options), [TEXT])[0].tokens]


@pytest.fixture(scope="module")
def expected() -> list[float]:
    return probabilities(FIXTURES / "default", vocab=VOCABULARY)


@pytest.mark.parametrize(
    "name", ["", "model.ckpt-4000", "model.ckpt-4000.index", "model.ckpt-4000.data-00000-of-00001", "checkpoint"]
)
def test_a_tensorflow_checkpoint_is_opened_by_any_of_its_names(expected, name):
    assert probabilities(FIXTURES / "default" / name, vocab=VOCABULARY) == expected


@pytest.mark.parametrize("part", ["", "discriminator", "discriminator/model.safetensors"])
def test_a_converted_model_gives_the_same_numbers(expected, golden_pair, part):
    assert probabilities(golden_pair / part) == expected


@pytest.mark.parametrize(
    "options", [{"to": "torch"}, {"max_shard_size": 100_000}, {"to": "torch", "max_shard_size": 1}]
)
def test_any_container_gives_the_same_numbers(expected, tmp_path, options):
    convert(FIXTURES / "default", tmp_path / "out", vocab=VOCABULARY, **options)
    assert probabilities(tmp_path / "out") == expected


def test_a_checkpoint_is_opened_without_a_trace(golden_copy):
    folder = golden_copy()
    before = {path: path.stat().st_mtime_ns for path in [folder, folder.parent, *folder.iterdir()]}
    open_model(folder)
    assert {path: path.stat().st_mtime_ns for path in [folder, folder.parent, *folder.iterdir()]} == before


def test_a_lone_discriminator_is_given_its_generator(golden_pair, tmp_path):
    lone = shutil.copytree(golden_pair / "discriminator", tmp_path / "lone")
    opened_generator = open_model(lone, "generator", generator=golden_pair / "generator")
    assert opened_generator.role == "generator"
    with pytest.raises(NamesError, match="holds a discriminator and no generator: a discriminator cannot suggest"):
        open_model(lone, "generator")


def test_a_lone_generator_is_no_discriminator(golden_pair):
    with pytest.raises(NamesError, match="holds a generator and no discriminator") as caught:
        open_model(golden_pair / "generator")
    assert "fill=5" in str(caught.value.hint)


def test_a_tensorflow_checkpoint_without_a_generator_is_given_none(written):
    with pytest.raises(NamesError, match="holds a discriminator and no generator") as caught:
        open_model(written("uniform_generator"), "generator")
    assert "--generator" not in str(caught.value.hint)


def test_a_model_of_the_wrong_role_is_refused(opened_discriminator, opened_generator):
    with pytest.raises(NamesError, match="a discriminator is needed, and this is a generator"):
        score(opened_generator, [TEXT])
    with pytest.raises(NamesError, match="a generator is needed, and this is a discriminator"):
        electra_convert.fill(opened_discriminator, ["the [MASK]"])


def test_an_encoder_without_a_head_cannot_score(written):
    def behead(tensors):
        for name in [name for name in tensors if name.startswith("task_specific/")]:
            del tensors[name]

    with pytest.raises(NamesError, match="holds an encoder without the pretraining head"):
        open_model(written("fine_tuned", change=behead))


def test_weights_that_are_not_finite_are_refused(written):
    def spoil(tensors):
        tensors["electra/embeddings/word_embeddings"][3, 1] = np.nan

    with pytest.raises(NamesError, match="electra/embeddings/word_embeddings holds NaN"):
        open_model(written(change=spoil))


@pytest.mark.parametrize("role", ["discriminator", "generator"])
def test_finite_weights_whose_logits_are_not_are_refused_when_they_are_run(golden_pair, role):
    opened = open_model(golden_pair, role)
    weights = {name: tensor.clone() for name, tensor in opened.network._weights.items()}
    for name in weights:
        if "dense.weight" in name:
            weights[name].fill_(3e38)
    opened.network._weights = weights
    use = score if role == "discriminator" else electra_convert.fill
    with pytest.raises(CorruptFileError, match=f"what the {role} computes is not finite") as caught:
        use(opened, ["the [MASK] of"])
    assert str(golden_pair) in str(caught.value)


def test_a_guessed_head_count_is_said(written):
    assert any("guess" in notice for notice in open_model(written(hparams=False)).notices)


def test_electric_lacks_a_term_and_says_so(written):
    folder = written("two_tower_generator")
    assert any("cloze" in notice for notice in open_model(folder).notices)
    # It has a generator, so nobody is told to look for another one.
    with pytest.raises(NamesError, match="its generator is the two-tower generator") as caught:
        open_model(folder, "generator")
    assert caught.value.hint is None


# Vocabularies


@pytest.mark.parametrize("keep", [("vocab.txt", "tokenizer_config.json"), ("vocab.txt",), ("tokenizer.json",)])
def test_one_file_of_a_tokenizer_is_enough(expected, golden_pair, tmp_path, keep):
    folder = shutil.copytree(golden_pair / "discriminator", tmp_path / "copy")
    for name in {"tokenizer.json", "tokenizer_config.json", "vocab.txt"} - set(keep):
        (folder / name).unlink()
    assert probabilities(folder) == expected


def test_a_model_without_a_vocabulary_asks_for_it(expected, golden_copy, golden_pair, tmp_path):
    with pytest.raises(VocabularyError, match="no vocabulary beside it") as caught:
        open_model(golden_copy(without=("vocab.txt",)))
    assert "vocab=" in str(caught.value.hint)
    folder = shutil.copytree(
        golden_pair / "discriminator", tmp_path / "bare", ignore=shutil.ignore_patterns("*oken*", "v*")
    )
    with pytest.raises(VocabularyError, match="no vocabulary beside it"):
        open_model(folder)
    assert probabilities(folder, vocab=VOCABULARY) == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "{", "cannot be read"),
        (lambda text: text.replace("[MASK]", "[mask]"), r"lacks \[MASK\]"),
        (
            lambda text: text.replace(": 1499", ": 1700"),
            "has a piece of id 1700, but the word embedding has 1500 rows",
        ),
        (
            lambda text: json.dumps({**json.loads(text), "added_tokens": []}),
            r"reads \[MASK\] as \[, ma, ##s, ##k, \], not as one token",
        ),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_refused(golden_pair, tmp_path, change, said):
    folder = shutil.copytree(golden_pair / "discriminator", tmp_path / "copy")
    path = folder / "tokenizer.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(VocabularyError, match=said):
        open_model(folder)


def test_a_vocabulary_beside_a_model_that_does_not_fit_is_not_said_to_be_missing(golden_pair, tmp_path):
    folder = shutil.copytree(golden_pair / "discriminator", tmp_path / "copy")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY.read_text().split("\n")[:100]) + "\n")
    with pytest.raises(VocabularyError, match=r"copy/vocab.txt has 100 pieces, but the .* has 1500 rows") as caught:
        open_model(folder)
    assert "convert accepts with pad_vocab=True" in caught.value.hint


def test_what_a_vocabulary_cannot_say_is_told_with_the_option_that_helps(golden_copy):
    folder = golden_copy()
    pieces = (folder / "vocab.txt").read_text().splitlines()
    pieces[-30:] = [f"\u00e4{number}" for number in range(30)]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    notices = [notice for notice in open_model(folder).notices if "accents" in notice]
    assert [notice.endswith("; --no-strip-accents keeps them).") for notice in notices] == [True]
    kept = open_model(folder, strip_accents=False)
    assert not [notice for notice in kept.notices if "accents" in notice]
    assert kept.tokenizer.encode("\u00e40", add_special_tokens=False).tokens == ["\u00e40"]


def test_a_tokenizer_without_its_piece_for_unknown_words_is_told_of(golden_pair, tmp_path):
    folder = shutil.copytree(golden_pair / "discriminator", tmp_path / "copy")
    fields = json.loads((folder / "tokenizer.json").read_text())
    fields["model"]["unk_token"] = "<unk>"
    (folder / "tokenizer.json").write_text(json.dumps(fields))
    opened = open_model(folder)
    score(opened, ["the value"])
    with pytest.raises(VocabularyError, match=r"the tokenizer of the model cannot read the text: .* Missing"):
        score(opened, ["\u65e5"])


def test_a_tokenizer_that_truncates_and_pads_does_so_no_more(golden_pair, tmp_path, expected):
    from tokenizers import Tokenizer

    folder = shutil.copytree(golden_pair / "discriminator", tmp_path / "copy")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(folder / "tokenizer.json"))
    assert probabilities(folder) == expected


def test_an_activation_that_is_not_known_is_refused(golden_pair, tmp_path):
    folder = shutil.copytree(golden_pair / "discriminator", tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_act": "silu"}))
    with pytest.raises(ConfigError, match=r"copy: hidden_act is 'silu', expected gelu, .*, linear"):
        open_model(folder)


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_a_device_may_be_named(golden_pair, device):
    opened = open_model(golden_pair, device=device)
    assert str(opened.device) == device
    assert opened.score(TEXT) == open_model(golden_pair).score(TEXT)


@pytest.mark.parametrize("device", ["cuda:99", "tpu"])
def test_a_device_that_is_not_there_is_refused_in_one_line(tmp_path, device):
    with pytest.raises(UsageError, match=f"PyTorch cannot compute on '{device}' here: ") as caught:
        open_model(tmp_path / "nothing", device=device)
    assert "\n" not in str(caught.value)


def test_a_role_that_is_none_is_refused(golden_pair):
    with pytest.raises(UsageError, match="the role is 'both', expected discriminator or generator"):
        open_model(golden_pair, "both")


def test_nothing_there_is_said_as_everywhere(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        open_model(tmp_path / "nothing")
