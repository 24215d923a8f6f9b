"""The object graph that TensorFlow 2 stores beside its tensors: which variable a key stands for; reads no file.

Source: tensorflow/core/protobuf/trackable_object_graph.proto, and WriteStringTensor in tensor_bundle.cc.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Literal

from crc32c import crc32c

from electra_convert.formats.tf_bundle.damage import MalformedError
from electra_convert.formats.tf_bundle.wire import content, decode_varint, fields, messages

GRAPH_KEY = b"_CHECKPOINTABLE_OBJECT_GRAPH"
# What tf.train.Checkpoint keeps for itself: the graph, and how often it has saved.
BOOKKEEPING = frozenset({GRAPH_KEY, b"save_counter/.ATTRIBUTES/VARIABLE_VALUE"})

_WORD_BYTES = 4


def decode_text(stored: bytes, checksum: int, byteorder: Literal["little", "big"]) -> bytes:
    """Decode a string tensor of one element: its length, a checksum of that, and its bytes.

    Args:
        stored: what the data file holds.
        checksum: the entry's CRC32C; it runs over the length as a 32-bit word in place of the varint.
        byteorder: of that word.

    Returns:
        The string.

    Raises:
        MalformedError: the lengths do not fit, or the checksum does not match.
    """
    length, position = decode_varint(stored, 0)
    if length != len(stored) - position - _WORD_BYTES:
        raise MalformedError(f"a string of {length} bytes is stored in {len(stored)}")
    found = crc32c(stored[position:], crc32c(length.to_bytes(_WORD_BYTES, byteorder)))
    if found != checksum:
        raise MalformedError(f"a string has CRC32C {found:08x}, {checksum:08x} is stored for it")
    return stored[position + _WORD_BYTES :]


def variable_names(graph: bytes, keys: Collection[bytes]) -> dict[bytes, bytes]:
    """Find the names that the variables have in the program.

    Args:
        graph: a TrackableObjectGraph.
        keys: the keys of the checkpoint.

    Returns:
        From keys to names, for the keys whose variable has a name that nothing else goes by.

    Raises:
        MalformedError: it is not such a message.
    """
    names = {key: name for key, name in _attributes(graph) if key in keys and name}
    uses = Counter(names.values())
    return {key: name for key, name in names.items() if uses[name] == 1 and name not in keys}


def _attributes(graph: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the checkpoint_key and the full_name of every value of every object."""
    for node in messages(graph, 1):
        for attribute in messages(node, 2):
            texts = {number: bytes(content(value)) for number, value in fields(attribute) if number in (2, 3)}
            yield texts.get(3, b""), texts.get(2, b"")
