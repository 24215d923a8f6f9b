"""Labelled data are read in every form that people have them in, and each fault is told by file and line."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from electra_convert.errors import CorpusError, UsageError
from electra_convert.finetuning.data.reading import read_data
from electra_convert.finetuning.options import FinetuneOptions
from electra_convert.pretraining.progress import Silent

BIO = "-DOCSTART- -X- O\n\nAnna NNP B-PER\nlives VBZ O\n\nin IN O\nOslo NNP B-LOC\n"


@pytest.fixture
def read(tmp_path: Path):
    """Reads a text under a name, for a task."""

    def reader(task: str, text: str | bytes, name: str = "train.txt", **options):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_data(task, path, FinetuneOptions(**options), Silent()).train

    return reader


def words(sentences):
    return [list(zip(one.words, one.labels, strict=True)) for one in sentences]


EXPECTED = [[("Anna", "B-PER"), ("lives", "O")], [("in", "O"), ("Oslo", "B-LOC")]]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (BIO, "train.conll"),
        (BIO.replace(" ", "\t"), "train.tsv"),
        (BIO.replace("\n", "\r\n"), "train.txt"),
        ('{"tokens": ["Anna", "lives"], "ner_tags": ["B-PER", "O"]}\n'
         '{"tokens": ["in", "Oslo"], "ner_tags": ["O", "B-LOC"]}\n', "train.jsonl"),
    ],
)  # fmt: skip
def test_tagged_sentences_are_read_from_columns_and_from_lists(read, text, name):
    assert words(read("token-classification", text, name)) == EXPECTED


def test_another_column_of_labels_is_named_by_its_number(read):
    assert words(read("token-classification", BIO, label_column="2"))[0] == [("Anna", "NNP"), ("lives", "VBZ")]


def test_conll_u_has_its_words_and_tags_where_it_says(read):
    rows = ["# sent_id = 1", "1-2\tdel\t_\t_\t_\t_\t_\t_\t_\t_", "1\tde\tde\tADP\tE\t_\t0\troot\t_\t_",
            "2\tel\tel\tDET\tR\t_\t1\tdet\t_\t_", "2.1\tx\tx\tX\t_\t_\t_\t_\t_\t_"]  # fmt: skip
    assert words(read("token-classification", "\n".join(rows) + "\n")) == [[("de", "ADP"), ("el", "DET")]]


def test_classes_of_a_parquet_file_have_the_names_that_datasets_wrote_into_it(tmp_path):
    pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")

    features = {"info": {"features": {
        "tokens": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
        "ner_tags": {"feature": {"names": ["O", "B-PER"], "_type": "ClassLabel"}, "_type": "List"},
    }}}  # fmt: skip
    table = pyarrow.table({"tokens": [["Anna", "lives"]], "ner_tags": [[1, 0]]})
    table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    parquet.write_table(table, tmp_path / "train.parquet")
    found = read_data("token-classification", tmp_path / "train.parquet", FinetuneOptions(), Silent()).train
    assert words(found) == [[("Anna", "B-PER"), ("lives", "O")]]


@pytest.mark.parametrize(
    "text",
    [
        "# a comment that has no sign of equality\n" + BIO,
        BIO.replace("in IN O", "# a comment of more fields\nin IN O"),
        "tokens pos ner_tags\n" + BIO,
        "\ufeffText\tX\tLabel\r\n" + BIO.replace(" ", "\t").replace("\n", "\r\n"),
    ],
)
def test_comments_and_a_header_are_no_words(read, text):
    assert words(read("token-classification", text, "a.conll")) == EXPECTED


def test_a_number_sign_with_its_columns_is_a_word(read):
    assert words(read("token-classification", "# O\nhash O\n\n# B-X\n", "a.conll")) == [
        [("#", "O"), ("hash", "O")],
        [("#", "B-X")],
    ]


TEXTS = [("It is good, and long.", "pos"), ("Bad", "neg")]


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ('text,label\n"It is good, and long.",pos\nBad,neg\n', "a.csv", {}),
        ('review;sentiment\n"It is good, and long.";pos\nBad;neg\n', "a.csv", {}),
        ("label\tsentence\npos\tIt is good, and long.\nneg\tBad\n", "a.tsv", {}),
        ("pos\tIt is good, and long.\nneg\tBad\n", "a.tsv", {"text_column": "2", "label_column": "1"}),
        ('{"text": "It is good, and long.", "label": "pos"}\n{"text": "Bad", "label": "neg"}\n', "a.jsonl", {}),
    ],
)
def test_texts_with_classes_are_read_from_tables_with_and_without_header(read, text, name, options):
    found = read("text-classification", text, name, **options)
    assert [(one.text, one.label) for one in found] == TEXTS


def test_pairs_are_found_by_their_usual_names_and_by_any(read):
    rows = '{"premise": "a", "hypothesis": "b", "label": 1}\n'
    [found] = read("text-classification", rows, "a.jsonl")
    assert (found.text, found.pair, found.label) == ("a", "b", "1")
    [found] = read("text-classification", rows, "a.jsonl", text_column="hypothesis", pair_column="premise")
    assert (found.text, found.pair) == ("b", "a")


def squad(answer: str = "Oslo", start: int = 14) -> str:
    asked = {"id": "1", "question": "Where?", "answers": [{"text": answer, "answer_start": start}]}
    none = {"id": "2", "question": "When?", "answers": [], "is_impossible": True}
    return json.dumps({"data": [{"paragraphs": [{"context": "Anna lives in Oslo.", "qas": [asked, none]}]}]})


def test_questions_are_read_from_squads_form_and_from_rows(read):
    first, second = read("question-answering", squad(), "a.json")
    assert (first.answers, second.answers) == ((("Oslo", 14),), ())
    row = {"id": "1", "question": "Where?", "context": "Anna lives in Oslo.",
           "answers": {"text": ["Oslo"], "answer_start": [14]}}  # fmt: skip
    [found] = read("question-answering", json.dumps(row) + "\n", "a.jsonl")
    assert (found.question, found.passage, found.answers) == (first.question, first.passage, first.answers)


FAULTS = [
    ("token-classification", "", "a.conll", "a.conll is empty"),
    ("token-classification", "\n\n", "a.conll", "holds no examples of token-classification"),
    ("token-classification", "Anna B-PER\nlives\n", "a.conll", "line 2 has 1 columns, the first line has 2"),
    ("token-classification", "Anna\nlives\n", "a.conll", "line 1 has 1 columns, expected a word in column 1"),
    ("token-classification", "# O\nhash O\n# x y\n", "a.conll", "line 3 has 3 columns, the first line has 2"),
    ("token-classification", "text\tlabel\nIt is a good film.\tpos\n", "a.tsv",
     "line 2 has a text where a word is expected: 'It is a good film.'"),
    ("token-classification", "a,b\nc,d\n", "a.csv", "is CSV, in which words of a sentence have no place"),
    ("token-classification", '{"tokens": ["a"], "tags": []}\n', "a.jsonl", "line 1 has 1 words and 0 labels"),
    ("token-classification", '{"tokens": 3, "tags": []}\n', "a.jsonl", "line 1: tokens is no list"),
    ("text-classification", "text,label\na,b\nc\n", "a.csv", "line 3 has 1 columns, the first row has 2"),
    ("text-classification", "text,label\na,\n", "a.csv", "line 2 has no label"),
    ("text-classification", 'text,label\n" ",b\n', "a.csv", "line 2: text is empty"),
    ("text-classification", '{"text": 3, "label": "b"}\n', "a.jsonl", "line 1: text is a int, expected a text"),
    ("text-classification", "just some text\nand more\n", "a.txt", "is no table, as far as can be told"),
    ("text-classification", "text,text\na,b\n", "a.csv", "line 1 has 2 columns called 'text'"),
    ("text-classification", "text,label\n", "a.csv", "holds no examples"),
    ("question-answering", squad(start=13), "a.json", "question 1: the answer 'Oslo' does not stand at character 13"),
    ("question-answering", '{"data": 3}', "a.json", "is not of SQuAD's form"),
    ("question-answering", squad().replace('"answers": [{', '"replies": [{'), "a.json", "question 1 has no answers"),
    ("question-answering", squad().replace("context", "passage"), "a.json", "form: something has no 'context'"),
    ("question-answering", "{", "a.json", "is not JSON"),
    ("fill-mask", "\n", "a.txt", "holds no examples of fill-mask"),
    ("token-classification", b"Anna B-PER\n\xe9 O\n", "a.conll", "line 2: byte 0xe9 is not UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "text", "name", "said"), FAULTS)
def test_a_fault_is_told_by_file_and_line(read, task, text, name, said):
    with pytest.raises(CorpusError) as refused:
        read(task, text, name)
    assert said in refused.value.message
    assert name in refused.value.message


def test_a_column_that_is_not_there_is_told_with_what_was_probably_meant(read):
    with pytest.raises(CorpusError, match=r"a\.csv has no 'lable' among its columns: text, label") as refused:
        read("text-classification", "text,label\na,b\n", "a.csv", label_column="lable")
    assert refused.value.hint == "Did you mean --label-column label?"
    with pytest.raises(UsageError, match=r"a\.csv: which column is meant by --label-column"):
        read("text-classification", "text,x\na,b\n", "a.csv")


def test_what_a_table_without_a_header_or_with_another_separator_holds_is_shown_in_short(read):
    with pytest.raises(UsageError, match=r"There are It is all good\. It is all good\. It is al\.\.\., pos$"):
        read("text-classification", f"{'It is all good. ' * 9}\tpos\nBad\tneg\n", "a.tsv")
    with pytest.raises(UsageError, match=r"There is one, text\|label$") as refused:
        read("text-classification", "text|label\na|b\n", "a.csv")
    assert refused.value.hint == "Part the columns of .csv by commas, semicolons or tabs, of .tsv by tabs."


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path):
    for place, said in ((tmp_path / "none.tsv", "does not exist"), (tmp_path, "is a folder")):
        with pytest.raises(CorpusError, match=said):
            read_data("text-classification", place, FinetuneOptions(), Silent())


def test_what_data_say_is_recorded_wherever_they_lie_and_in_whatever_form(tmp_path):
    def recorded(text: str, name: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        data = read_data("text-classification", path, FinetuneOptions(), Silent())
        assert (data.described["train"]["name"], data.described["train"]["examples"]) == (path.name, 1)
        return str(data.described["train"]["sha256"])

    first = recorded("text,label\na,b\n", "a.csv")
    assert recorded("label\ttext\nb\ta\n", "elsewhere/a.tsv") == first
    assert recorded("text,label\na,c\n", "a.csv") != first


@pytest.mark.parametrize(
    ("options", "task", "said"),
    [
        ({"epochs": 0}, "fill-mask", "--epochs is 0"),
        ({"epochs": float("inf")}, "fill-mask", "--epochs is inf"),
        ({"learning_rate": float("nan")}, "fill-mask", "--learning-rate is nan"),
        ({"seed": -1}, "fill-mask", "--seed is -1, expected 0 to 4294967295"),
        ({"seed": 2**32 - 2, "seeds": 3}, "fill-mask", "every one of --seeds included"),
        ({"max_length": 4}, "fill-mask", "--max-length is 4"),
        ({"resume": True, "overwrite": True}, "fill-mask", "--resume continues a run and --overwrite"),
        ({"samples": 3}, "token-classification", "--samples means nothing for token-classification"),
        ({"google_head": True}, "fill-mask", "--google-head means nothing for fill-mask"),
        ({"pair_column": "x"}, "question-answering", "--pair-column means nothing"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, task, said):
    with pytest.raises(UsageError, match=said):
        FinetuneOptions(**options).check(task)
