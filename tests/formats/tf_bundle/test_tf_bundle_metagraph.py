import struct
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tf_bundle_files import PREFIXES, refusal_of

from electra_convert.errors import CorruptFileError, SourceError
from electra_convert.formats.tf_bundle import Node, read_nodes
from electra_convert.formats.wire import encode_content, encode_fixed32, encode_number

SCALE = "{}/encoder/layer_0/attention/self/Mul/y"


def everything(_name: str, _op: str) -> bool:
    return True


@pytest.mark.parametrize(("prefix", "generator_width"), list(zip(PREFIXES, (32, 64, 32), strict=True)))
def test_the_attention_scale_of_a_real_graph_is_found(prefix, generator_width):
    wanted = {SCALE.format("electra"): 32, SCALE.format("generator"): generator_width}
    nodes = list(read_nodes(prefix.with_name(f"{prefix.name}.meta"), lambda name, _: name in wanted))
    assert {node.name for node in nodes} == set(wanted)
    for node in nodes:
        assert node.op == "Const"
        assert node.value == pytest.approx(1 / sqrt(wanted[node.name]), rel=1e-6)


def test_nodes_are_chosen_by_name_and_op():
    path = PREFIXES[0].with_name(f"{PREFIXES[0].name}.meta")
    nodes = list(read_nodes(path, lambda name, op: op == "Erf" and name.startswith("electra/")))
    assert nodes
    assert all(node.op == "Erf" and node.value is None for node in nodes)


def node(name: bytes, op: bytes, tensor: bytes | None = None) -> bytes:
    value = encode_content(1, b"value") + encode_content(2, encode_content(8, tensor or b""))
    attributes = encode_content(5, encode_content(1, b"dtype")) + (encode_content(5, value) if tensor else b"")
    return encode_content(1, name) + encode_content(2, op) + attributes


def meta(graph_def: bytes) -> bytes:
    return encode_content(1, b"info") + encode_content(2, graph_def)


HALF = struct.pack("<f", 0.5)
FLOAT = encode_number(1, 1)


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        (FLOAT + encode_content(4, HALF), 0.5),
        (FLOAT + encode_content(5, HALF), 0.5),
        (FLOAT + encode_fixed32(5, int.from_bytes(HALF, "little")), 0.5),
        (FLOAT + encode_content(5, HALF * 2), None),
        (FLOAT, None),
        (encode_number(1, 3) + encode_content(4, HALF), None),
    ],
)
def test_a_scalar_is_read_however_it_is_stored(tmp_path, tensor, value):
    path = tmp_path / "m.meta"
    path.write_bytes(meta(encode_content(1, node(b"x", b"Const", tensor))))
    assert list(read_nodes(path, everything)) == [Node("x", "Const", value)]


def test_the_nodes_of_functions_are_found_too(tmp_path):
    library = encode_content(1, encode_content(3, node(b"inner", b"Mul")))
    path = tmp_path / "m.meta"
    path.write_bytes(meta(encode_content(1, node(b"outer", b"Const")) + encode_content(2, library)))
    assert list(read_nodes(path, everything)) == [Node("outer", "Const", None), Node("inner", "Mul", None)]


def test_an_empty_graph_has_no_nodes(tmp_path):
    (tmp_path / "m.meta").touch()
    assert not list(read_nodes(tmp_path / "m.meta", everything))


@pytest.mark.parametrize("content", [b"\x12\xff\xff\xff\xff\x0f", b"no graph", meta(b"\x0a\x02\x08\x01\x0a\x09")])
def test_a_damaged_graph_is_refused_by_name(tmp_path, content):
    path = tmp_path / "m.meta"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=r"m\.meta is damaged"):
        list(read_nodes(path, everything))


def test_a_missing_graph_is_refused_by_name(tmp_path):
    with pytest.raises(SourceError, match=r"m\.meta cannot be read: No such file or directory$"):
        list(read_nodes(tmp_path / "m.meta", everything))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_any_change_of_a_graph_is_read_or_refused(tmp_path_factory, position, byte):
    graph = PREFIXES[0].with_name(f"{PREFIXES[0].name}.meta").read_bytes()[:10_000]
    content = bytearray(meta(encode_content(1, node(b"x", b"Const", FLOAT + encode_content(4, HALF)))) + graph)
    content[position % len(content)] = byte
    path = tmp_path_factory.getbasetemp() / "any.meta"
    path.write_bytes(content)
    message = refusal_of(lambda: list(read_nodes(path, everything)))
    assert message is None or "any.meta is damaged" in message
