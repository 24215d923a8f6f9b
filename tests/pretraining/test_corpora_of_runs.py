"""A run on rows or texts is the run on the same text, and is resumed on no others."""

from __future__ import annotations

import json

import pytest
from conftest import FIXTURES
from support.pretraining import TINY

from electra_convert.errors import CorpusError, TrainingError, UsageError

pytestmark = pytest.mark.slow
SHORT = {**TINY, "num_train_steps": 2}
WEIGHTS = "discriminator/model.safetensors"


@pytest.fixture
def documents() -> list[str]:
    return (FIXTURES / "corpus" / "english.txt").read_text().split("\n\n")


@pytest.fixture
def rows(tmp_path, documents):
    """JSON lines, to be changed at will."""
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "docs.jsonl").write_text("".join(json.dumps({"body": one}) + "\n" for one in documents))
    return tmp_path / "rows"


def test_rows_and_texts_train_the_model_that_text_trains(pretrained, documents, rows):
    text = pretrained("text", FIXTURES / "corpus" / "english.txt", hparams=SHORT)
    table = pretrained("table", rows, hparams=SHORT, text_column="body")
    texts = pretrained("texts", iter(documents), hparams=SHORT)
    expected = (text.model / WEIGHTS).read_bytes()
    assert (table.model / WEIGHTS).read_bytes() == (texts.model / WEIGHTS).read_bytes() == expected


def test_a_run_is_resumed_on_the_rows_that_it_began_with_alone(pretrained, rows):
    options = {"corpus": rows, "hparams": SHORT, "text_column": "body"}
    pretrained(**options)
    assert pretrained(**options, resume=True).step == 2
    with (rows / "docs.jsonl").open("a") as file:
        file.write('{"body": "One more."}\n')
    with pytest.raises(TrainingError, match=r"corpus was .* when the run began"):
        pretrained(**options, resume=True)


def test_a_run_is_resumed_on_the_texts_that_it_began_with_alone(pretrained, documents):
    pretrained(corpus=documents, hparams=SHORT, held_out=0.0)
    assert pretrained(corpus=iter(documents), hparams=SHORT, held_out=0.0, resume=True).step == 2
    with pytest.raises(TrainingError, match=r"corpus was .* when the run began"):
        pretrained(corpus=documents[:-1], hparams=SHORT, held_out=0.0, resume=True)


def test_a_run_is_resumed_with_the_corpus_that_it_was_evaluated_on(pretrained, documents, tmp_path):
    (tmp_path / "other.txt").write_text(documents[0])
    run = pretrained(hparams=SHORT, held_out=None, eval_corpus=tmp_path / "other.txt")
    assert run.metrics
    with pytest.raises(TrainingError, match=r"eval_corpus was .*, and is null now"):
        pretrained(hparams=SHORT, held_out=0.0, resume=True)


def test_texts_have_no_columns(pretrained, documents):
    with pytest.raises(UsageError, match=r"^text_column is 'body', but the corpus is texts"):
        pretrained(corpus=documents, hparams=SHORT, text_column="body")


@pytest.mark.parametrize("corpus", [None, 5])
def test_what_is_no_corpus_is_refused_in_words(corpus):
    from electra_convert import pretrain

    with pytest.raises(UsageError, match=f"^corpus is {corpus}, expected files, folders, .* or documents"):
        pretrain(corpus, "output")


def test_documents_that_are_no_texts_are_refused(pretrained):
    with pytest.raises(CorpusError, match="document 2 of the corpus is a dict, not a text") as raised:
        pretrained(corpus=iter(["The birds sing.", {"text": "The cat sleeps."}]), hparams=SHORT)
    assert 'row["text"] for row in rows' in raised.value.hint


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        (iter([]), "no document of the corpus has any text"),
        (iter([" ", "\n"]), "no document"),
        ([], "the corpus is an empty list"),
    ],
)
def test_documents_without_text_are_refused_by_no_name_of_a_file(pretrained, tmp_path, documents, said):
    with pytest.raises(CorpusError, match=said):
        pretrained(corpus=documents, hparams=SHORT, cache=tmp_path / "cache")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
