import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st
from tf_bundle_files import refusal_of

from electra_convert.errors import CorruptFileError
from electra_convert.formats.tf_bundle.graphs import decode_text, variable_names
from electra_convert.formats.wire import encode_content, encode_varint, unmask


def graph_of(*attributes: tuple[bytes, bytes]) -> bytes:
    """An object graph of one value a node, by key and name."""
    return b"".join(
        encode_content(1, encode_content(2, encode_content(2, name) + encode_content(3, key)))
        for key, name in attributes
    )


@pytest.mark.parametrize(
    ("attributes", "keys", "names"),
    [
        ([(b"k", b"name")], [b"k"], {b"k": b"name"}),
        ([(b"k", b"name"), (b"m", b"other")], [b"k"], {b"k": b"name"}),
        ([(b"k", b"")], [b"k"], {}),
        ([(b"k", b"name"), (b"m", b"name")], [b"k", b"m"], {}),
        ([(b"k", b"m"), (b"m", b"name")], [b"k", b"m"], {b"m": b"name"}),
        ([], [b"k"], {}),
    ],
    ids=["named", "not saved", "nameless", "same name", "name of another key", "unknown"],
)
def test_a_key_goes_by_a_name_only_if_nothing_else_does(attributes, keys, names):
    assert variable_names(graph_of(*attributes), keys) == names


@given(st.binary(max_size=60))
def test_any_bytes_are_a_graph_or_refused(graph):
    assert refusal_of(lambda: variable_names(graph, [b"k"])) != ""


def stored(text: bytes, byteorder: str) -> tuple[bytes, int]:
    """A string as it is stored, and its checksum."""
    length = len(text).to_bytes(4, byteorder)
    rest = crc32c(length).to_bytes(4, byteorder) + text
    return encode_varint(len(text)) + rest, crc32c(length + rest)


@pytest.mark.parametrize("byteorder", ["little", "big"])
@given(st.binary(max_size=300))
def test_a_string_comes_back(byteorder, text):
    assert decode_text(*stored(text, byteorder), byteorder) == text


def test_the_string_of_the_reference_is_decoded():
    content = bytes.fromhex("061c03ee55") + b"scalar"
    assert decode_text(content, unmask(0x76B65F05), "little") == b"scalar"


@given(st.binary(max_size=12), st.data())
def test_any_change_of_a_string_is_refused(text, data):
    content, checksum = stored(text, "little")
    changed = bytearray(content)
    changed[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptFileError, match=r"a string|a number"):
        decode_text(bytes(changed), checksum, "little")
