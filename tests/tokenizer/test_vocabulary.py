"""vocab.txt is read as Google's load_vocab reads it, and refused where that would go wrong unseen."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_convert.errors import ElectraConvertError, SourceError, VocabularyError
from electra_convert.tokenizer import SPECIAL_TOKENS, Vocabulary, check_size, read_vocabulary
from electra_convert.tokenizer.vocabulary import LARGEST_FILE, decode_vocabulary, read_added_tokens

FIXTURES = Path(__file__).parents[2] / "fixtures"
SPECIAL = "".join(f"{token}\n" for token in SPECIAL_TOKENS).encode()
PATH = Path("some") / "vocab.txt"


def of_length(count: int) -> Vocabulary:
    return decode_vocabulary(SPECIAL + b"".join(b"a%d\n" % number for number in range(count - 5)), PATH)


def test_the_line_number_is_the_id():
    vocabulary = read_vocabulary(FIXTURES / "vocab.txt")
    assert len(vocabulary) == 1500
    assert vocabulary.pieces[:6] == (*SPECIAL_TOKENS, "!")
    assert list(vocabulary.ids.values()) == list(range(1500))
    assert vocabulary.notices == ()


@pytest.mark.parametrize(
    ("ending", "pieces"),
    [
        pytest.param("a\nb", ["a", "b"], id="no line feed at the end"),
        pytest.param("a\r\nb\r\n", ["a", "b"], id="carriage returns"),
        pytest.param(" a\t\n\u3000b\u2028\n", ["a", "b"], id="white space of any kind around a piece"),
        pytest.param("a\n\n", ["a", ""], id="a blank line"),
        pytest.param("\n", [""], id="a blank line at the end"),
        pytest.param("a\u2028b\x0bc\rd\x85e\n", ["a\u2028b\x0bc\rd\x85e"], id="other line breaks do not break"),
    ],
)
def test_lines_are_taken_apart_as_googles_code_does(ending, pieces):
    raw = SPECIAL + ending.encode()
    vocabulary = decode_vocabulary(raw, PATH)
    assert list(vocabulary.pieces[5:]) == pieces
    assert vocabulary.raw == raw


def test_of_equal_pieces_the_last_counts_with_a_notice():
    vocabulary = decode_vocabulary(SPECIAL + b"a\nb\na\n\n\n", PATH)
    assert vocabulary.ids["a"] == 7
    assert len(vocabulary) == 10
    assert vocabulary.notices == (
        "vocab.txt repeats pieces, and the last line of each counts: 'a' on lines 6, 8, '' on lines 9, 10",
    )


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(b"", "vocab.txt is empty", id="empty"),
        pytest.param(b"\xef\xbb\xbf" + SPECIAL, "line 1: begins with a byte order mark", id="byte order mark"),
        pytest.param(SPECIAL.decode().encode("utf-16"), "UTF-16 or binary, 31 of its 64 bytes are zero", id="UTF-16"),
        pytest.param(SPECIAL.decode().encode("utf-16-le"), "it is UTF-16 or binary", id="UTF-16 without a mark"),
        pytest.param("가나다라마\n".encode("utf-16"), "it is UTF-16 or binary", id="UTF-16 with few zeros"),
        pytest.param(SPECIAL + bytes(9), "it is UTF-16 or binary", id="binary"),
        pytest.param(SPECIAL + b"a\ncaf\xe9\n", "line 7: byte 0xe9 is not UTF-8", id="Latin-1"),
        pytest.param(SPECIAL + b"\xed\xa0\x80\n", "line 6: byte 0xed is not UTF-8", id="half of a surrogate pair"),
        pytest.param(b"\n", re.escape("lacks [PAD], [UNK], [CLS], [SEP], [MASK] among its 1 pieces"), id="blank"),
        pytest.param(b"[PAD]\n[UNK]\n[cls]\n[SEP]\n", re.escape("lacks [CLS], [MASK] among its 4"), id="two missing"),
    ],
)
def test_a_file_that_is_no_vocabulary_is_refused_with_file_and_line(raw, message, tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(raw)
    with pytest.raises(VocabularyError, match=message) as caught:
        read_vocabulary(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("raw", "message", "hint"),
    [
        (b'{"[PAD]": 0, "a": 1}', "is JSON, expected a WordPiece on each line", "Give vocab.txt, the text file"),
        (b'\n[\n"[PAD]",\n"a"]\n', "is JSON, expected a WordPiece on each line", "Give vocab.txt, the text file"),
        (b'{"model": {"type": "BPE"}}', "is JSON, the tokenizer.json of a BPE tokenizer, expected", "Give vocab.txt"),
        (b"<unk>\t0\n<s>\t0\n\xe2\x96\x81the\t-3.2\nx\t-1e-05\n", "has scores: a piece, a tab", "--no-tokenizer"),
        ("<unk>\n▁the\n▁of\ns\n".encode(), r"SentencePiece: 2 of 4 pieces begin with '▁'", "--no-tokenizer"),
        (b"{\n}}\n", r"lacks \[PAD\]", "another kind of model"),
    ],
    ids=["a table", "a list", "tokenizer.json", ".vocab with scores", "pieces of SentencePiece", "braces"],
)
@pytest.mark.parametrize("name", ["vocab.txt", "vocab.json", "x"])
def test_what_is_no_vocabulary_of_wordpiece_is_called_what_it_is_whatever_its_name(raw, message, hint, name):
    with pytest.raises(VocabularyError, match=f"{name} .*{message}") as caught:
        decode_vocabulary(raw, Path(name))
    assert hint in caught.value.hint


@pytest.mark.parametrize("piece", ["##\0", "a\0b", "\0", "a\x0cb", "\x01"])
def test_a_piece_may_hold_what_no_word_does(piece):
    raw = SPECIAL + b"abc\n" * 5 + f"{piece}\nb\n".encode()
    vocabulary = decode_vocabulary(raw, PATH)
    assert vocabulary.raw == raw
    assert vocabulary.pieces[10:] == (piece, "b")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"vocab\.txt cannot be read: No such file"):
        read_vocabulary(tmp_path / "vocab.txt")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ElectraConvertError, match="is a folder, expected a file"):
        read_vocabulary(tmp_path)


def test_a_file_far_too_large_is_not_read(tmp_path):
    path = tmp_path / "vocab.txt"
    with path.open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(VocabularyError, match=f"is {LARGEST_FILE + 1} bytes long, expected at most"):
        read_vocabulary(path)


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_whatever_give_another_error(noise):
    for raw in (noise, SPECIAL + noise):
        with suppress(VocabularyError):
            assert decode_vocabulary(raw, PATH).raw == raw


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\0"))))
def test_pieces_come_back_as_they_were_written(lines):
    raw = SPECIAL + "".join(f"{line}\n" for line in lines).encode()
    assert list(decode_vocabulary(raw, PATH).pieces[5:]) == [line.strip() for line in lines]


@pytest.mark.parametrize(("count", "rows"), [(30, 30), (8, 8)])
def test_as_many_pieces_as_rows_need_no_notice(count, rows):
    assert check_size(of_length(count), rows, pad=False) is None


@pytest.mark.parametrize(("count", "rows"), [(25, 32), (31, 32), (1500, 1504)])
def test_rows_rounded_up_to_eight_are_accepted_with_a_notice(count, rows):
    assert check_size(of_length(count), rows, pad=False) == (
        f"vocab.txt has {count} pieces for {rows} rows of the embedding: the last rows have none"
    )


@pytest.mark.parametrize(("count", "rows"), [(24, 32), (25, 33), (25, 40), (25, 31), (7, 64)])
def test_any_other_surplus_of_rows_takes_the_option(count, rows):
    with pytest.raises(
        VocabularyError, match=f"has {count} pieces, but the word embedding has {rows} rows"
    ) as caught:
        check_size(of_length(count), rows, pad=False)
    assert "--pad-vocab" in caught.value.hint
    assert "the last rows have none" in check_size(of_length(count), rows, pad=True)


@pytest.mark.parametrize("pad", [True, False])
def test_more_pieces_than_rows_are_always_refused(pad):
    with pytest.raises(VocabularyError, match="has 33 pieces, but the word embedding has 32 rows") as caught:
        check_size(of_length(33), 32, pad)
    assert caught.value.hint == "This vocabulary belongs to another model."


def test_blank_lines_at_the_end_are_named_as_the_reason():
    vocabulary = decode_vocabulary(of_length(30).raw + b"\n\n\n", PATH)
    with pytest.raises(VocabularyError) as caught:
        check_size(vocabulary, 31, pad=False)
    assert caught.value.hint == "It ends with blank lines, and each counts as a piece: remove 2 of them."


@pytest.mark.parametrize("rows", [12, 16])
def test_two_blank_lines_are_pointed_at_as_a_line_feed_that_was_a_piece(rows):
    vocabulary = decode_vocabulary(SPECIAL + b"a\n\n\nb\nc\nd\ne\nf\n", PATH)
    assert len(vocabulary) == 13
    told = "Lines 7 and 8 are both blank, as where a line feed was written as a piece"
    if rows == 12:
        with pytest.raises(VocabularyError) as caught:
            check_size(vocabulary, rows, pad=False)
        assert caught.value.hint.startswith(f"{told}: remove one of them")
    else:
        assert told in check_size(vocabulary, rows, pad=False)


@pytest.mark.parametrize(
    ("text", "tokens"), [("a\nb\n", ("a", "b")), (" b \n\na\r\na\n[CLS]\n", ("b", "a")), ("a", ("a",))]
)
def test_added_tokens_stand_one_on_each_line_of_a_file(text, tokens, tmp_path):
    vocabulary = decode_vocabulary(SPECIAL + b"a\nb\n", PATH)
    (tmp_path / "added.txt").write_text(text)
    assert read_added_tokens(tmp_path / "added.txt", vocabulary) == tokens
    assert read_added_tokens(text.split("\n"), vocabulary) == tokens


def test_added_tokens_must_be_pieces(tmp_path):
    vocabulary = decode_vocabulary(SPECIAL + b"a\nb\n", PATH)
    (tmp_path / "added.txt").write_text("a\n[x]\ny\n")
    with pytest.raises(VocabularyError, match=r"added.txt: no pieces of some/vocab.txt are '\[x\]', 'y\'"):
        read_added_tokens(tmp_path / "added.txt", vocabulary)
    with pytest.raises(VocabularyError, match="the added tokens: there are none"):
        read_added_tokens((), vocabulary)


def test_blank_lines_are_not_blamed_where_removing_them_would_not_do():
    vocabulary = decode_vocabulary(of_length(30).raw + b"\n", PATH)
    with pytest.raises(VocabularyError) as caught:
        check_size(vocabulary, 24, pad=False)
    assert caught.value.hint == "This vocabulary belongs to another model."
