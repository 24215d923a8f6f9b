"""Tokenizer files from checkpoints of every kind: what options ask for, what is kept, refused, recorded and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command_line import refused, run
from tokenizers import Tokenizer

from electra_convert import convert
from electra_convert.errors import VocabularyError
from electra_convert.tokenizer import SPECIAL_TOKENS

KANJI = ("東京", "日本", "##東京", "の", "に", "は", *(f"一{chr(code)}" for code in range(0x4E01, 0x4E2B)))
HANGUL = ("a", "b", *map(chr, range(0xAC00, 0xAC00 + 46)))
BRACKETS = ("[رابط]", "ال+", "+ة", "كتاب", *(f"{one}{two}" for one in "بتثجحخد" for two in "بتثجحخ"), "ب", "ت")
MARKED = tuple(f"▁{one}{two}" for one in "abcdefgh" for two in "ijklmn")

Writer = Callable[..., Path]


@pytest.fixture
def holding(written: Writer) -> Writer:
    """Writes a checkpoint whose vocabulary holds certain pieces, and others up to the rows of its embeddings."""

    def write(*pieces: str, **options: object) -> Path:
        folder = written(**options)
        rest = (f"x{number}" for number in range(53))
        lines = [*SPECIAL_TOKENS, *pieces, *rest][:53]
        (folder / "vocab.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return folder

    return write


def tokens(folder: Path, text: str) -> list[str]:
    return Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).tokens


def recorded(folder: Path, role: str = "discriminator") -> dict[str, object]:
    config = json.loads((folder / "conversion.json").read_text())["config"][role]
    return {key: config[key]["value"] for key in ("tokenize_chinese_chars", "added_tokens") if key in config}


def settings(folder: Path) -> dict[str, object]:
    return json.loads((folder / "tokenizer_config.json").read_text())


# What is told.


def test_most_pieces_useless_is_a_warning_with_the_option(holding, tmp_path):
    result = convert(holding(*KANJI), tmp_path / "out")
    (warning,) = result.warnings
    assert warning.startswith("45 of 53 pieces (85%) of vocab.txt can never be produced: split, since each ideograph")
    assert "With --no-tokenize-chinese-chars it would be 0 of 53 pieces (0%)" in warning
    record = json.loads((tmp_path / "out" / "discriminator" / "conversion.json").read_text())
    assert warning in record["notices"]


def test_a_few_useless_pieces_are_a_notice(holding, tmp_path):
    result = convert(holding("[x]", "a+", "b"), tmp_path / "out")
    (notice,) = result.notices
    assert "split at punctuation ('[x]', 'a+'; --added-tokens FILE keeps those whole that it names)" in notice
    assert result.warnings == ()


def test_a_vocabulary_of_hangul_with_hardly_a_latin_letter_is_taken_as_cased(holding, tmp_path):
    convert(holding(*HANGUL), tmp_path / "out", model="discriminator")
    assert tokens(tmp_path / "out", "가 각") == ["가", "각"]
    (warning,) = convert(holding(*HANGUL, variant="masked_lm"), tmp_path / "uncased", uncased=True).warnings
    assert "With --no-strip-accents it would be 0 of 53 pieces (0%)" in warning


def test_towards_google_the_same_is_told_without_options(holding, tmp_path):
    result = convert(holding(*KANJI), tmp_path / "out", to="tf")
    (warning,) = result.warnings
    assert "45 of 53 pieces" in warning
    assert "--" not in warning.replace("##", "")


# What is asked for.


def test_ideographs_are_kept_together_where_asked_and_everywhere_after(holding, tmp_path):
    source = holding(*KANJI)
    result = convert(source, tmp_path / "pair", tokenize_chinese_chars=False)
    one = tmp_path / "pair" / "discriminator"
    assert result.warnings == ()
    assert tokens(one, "東京東京 日本") == ["東京", "##東京", "日本"]
    assert settings(one)["tokenize_chinese_chars"] is False
    assert recorded(one) == {"tokenize_chinese_chars": False}

    convert(one, tmp_path / "again", to="safetensors", uncased=True)
    assert tokens(tmp_path / "again", "東京東京") == ["東京", "##東京"]
    back = convert(one, tmp_path / "back")
    assert any("tokenize_chinese_chars false; Google's code" in line for line in back.notices)


def test_by_default_nothing_is_recorded_of_what_is_googles_rule(holding, tmp_path):
    convert(holding(), tmp_path / "out", model="discriminator")
    assert recorded(tmp_path / "out") == {}
    assert settings(tmp_path / "out")["tokenize_chinese_chars"] is True


@pytest.mark.parametrize("how", ["a file", "a list"])
def test_added_tokens_are_matched_whole_before_a_text_is_split(holding, tmp_path, how):
    names = ["[رابط]", "ال+", "+ة"]
    (tmp_path / "added.txt").write_text("\n".join(names), encoding="utf-8")
    given = tmp_path / "added.txt" if how == "a file" else names
    source = holding(*BRACKETS)
    result = convert(source, tmp_path / "pair", added_tokens=given)
    one = tmp_path / "pair" / "discriminator"
    assert not [line for line in result.notices if "never be produced" in line]
    assert tokens(one, "[رابط] ال+كتاب+ة") == ["[رابط]", "ال+", "كتاب", "+ة"]
    assert recorded(one) == {"added_tokens": names}
    ids = {entry["content"]: int(id) for id, entry in settings(one)["added_tokens_decoder"].items()}
    pieces = (one / "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert all(pieces[ids[name]] == name for name in names)

    convert(one, tmp_path / "again", to="safetensors", cased=True)
    assert tokens(tmp_path / "again", "ال+كتاب") == ["ال+", "كتاب"]
    back = convert(one, tmp_path / "back")
    assert any("Google's code knows no added tokens, and splits them: " in line for line in back.notices)


def test_added_tokens_that_are_no_pieces_are_refused(holding, tmp_path):
    with pytest.raises(VocabularyError, match=r"the added tokens: no pieces of .*vocab\.txt are '\[y\]'"):
        convert(holding(*BRACKETS), tmp_path / "out", added_tokens=["[y]"])
    assert not (tmp_path / "out").exists()


def test_a_tokenizers_folder_may_be_named_as_the_vocabulary(holding, tmp_path):
    source = holding(*KANJI)
    convert(source, tmp_path / "pair", tokenize_chinese_chars=False)
    (source / "vocab.txt").unlink()
    convert(source, tmp_path / "out", model="discriminator", vocab=tmp_path / "pair" / "discriminator")
    assert tokens(tmp_path / "out", "東京") == ["東京"]


# What is refused, and the way round.


def test_a_vocabulary_of_sentencepiece_is_refused_and_carried_without_a_tokenizer(holding, tmp_path):
    source = holding(*MARKED)
    told = refused(source, tmp_path / "refused")
    assert "vocab.txt is a vocabulary of SentencePiece: 48 of 53 pieces begin with" in told
    assert "--no-tokenizer" in told
    ran = run("convert", source, tmp_path / "out", "--no-tokenizer", "--model", "discriminator")
    assert "No tokenizer is written (--no-tokenizer); vocab.txt is carried as it is. transformers" in ran.err
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"config.json", "conversion.json", "model.safetensors", "vocab.txt"}
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()


@pytest.mark.parametrize("raw", [b"<unk>\t0\n<s>\t0\n\xe2\x96\x81a\t-2.5\n", b'{"a": 1}', b"\xff\xfea\0\n\0"])
@pytest.mark.parametrize("to", ["safetensors", "tf"])
def test_whatever_the_vocabulary_is_it_can_be_carried(holding, tmp_path, raw, to):
    source = holding()
    (source / "vocab.txt").write_bytes(raw)
    with pytest.raises(VocabularyError):
        convert(source, tmp_path / "out", to=to)
    convert(source, tmp_path / "out", to=to, model="discriminator", tokenizer=False)
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == raw


def test_a_tokenizer_of_another_kind_is_named(holding, tmp_path):
    (tmp_path / "bpe").mkdir()
    (tmp_path / "bpe" / "tokenizer.json").write_text('{"model": {"type": "BPE", "vocab": {}, "merges": []}}')
    with pytest.raises(VocabularyError, match="its tokenizer is BPE") as caught:
        convert(holding(), tmp_path / "out", vocab=tmp_path / "bpe")
    assert "Google's code knows WordPiece alone. convert tokenizer=False leaves it out" in caught.value.hint
    with pytest.raises(VocabularyError, match=r"is JSON, the tokenizer\.json of a BPE tokenizer"):
        convert(tmp_path / "written_default", tmp_path / "out", vocab=tmp_path / "bpe" / "tokenizer.json")


@pytest.mark.parametrize("piece", ["##\0", "a\x0cb"])
def test_a_piece_that_no_word_holds_is_no_reason_to_refuse(holding, tmp_path, piece):
    source = holding(piece)
    (notice,) = convert(source, tmp_path / "out", model="discriminator").notices
    assert f"with white space or control characters, which no word has ({piece!r})" in notice
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()


# What is kept.


@pytest.fixture
def described(holding: Writer, tmp_path: Path) -> Path:
    convert(holding(*KANJI), tmp_path / "described", model="discriminator")
    return tmp_path / "described"


def test_of_a_tokenizer_that_is_kept_the_same_is_told(described, tmp_path):
    kept = convert(described, tmp_path / "kept", to="safetensors")
    assert [line[:40] for line in kept.warnings] == ["45 of 53 pieces (85%) of vocab.txt can n"]
    (described / "tokenizer.json").unlink()
    assert convert(described, tmp_path / "other", to="safetensors").warnings[0].startswith(kept.warnings[0][:-1])


def test_a_kept_vocabulary_of_sentencepiece_is_told(described, tmp_path):
    lines = "".join(f"{line}\n" for line in (*SPECIAL_TOKENS, *MARKED))
    (described / "vocab.txt").write_text(lines, encoding="utf-8")
    (warning,) = convert(described, tmp_path / "kept", to="safetensors").warnings
    assert "is a vocabulary of SentencePiece" in warning


@pytest.mark.parametrize(
    ("stated", "told"), [(1e30, "model_max_length 1e+30"), (None, "no model_max_length"), (12, "")]
)
def test_a_kept_tokenizer_that_does_not_truncate_is_told_and_one_that_is_made_truncates(
    described, tmp_path, stated, told
):
    config = settings(described)
    config |= {"model_max_length": int(stated)} if stated else {}
    if stated is None:
        del config["model_max_length"]
    (described / "tokenizer_config.json").write_text(json.dumps(config))
    notices = convert(described, tmp_path / "kept", to="safetensors").notices
    expected = [f"tokenizer_config.json is kept and has {told}, and the model 12 positions: longer texts are not cut"]
    assert [line.split(",  and")[0][: len(expected[0])] for line in notices] == (expected if told else [])
    convert(described, tmp_path / "made", to="safetensors", cased=True)
    assert settings(tmp_path / "made")["model_max_length"] == 12
