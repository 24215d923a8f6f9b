"""Ways to change the bytes of a file: anywhere, or in what it is made of, with right lengths and checksums around it.

A mutation is a function of a random generator and bytes. What one cannot take apart is changed anywhere instead.
"""

from __future__ import annotations

import gzip
import io
import json
import pickletools
import struct
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from crc32c import crc32c

from electra_convert.errors import ElectraConvertError
from electra_convert.formats.tf_bundle.table import encode_table
from electra_convert.formats.wire import (
    decode_varint,
    encode_content,
    encode_number,
    encode_varint,
    fields,
    mask,
)
from electra_convert.pretraining.corpus.tfrecords import frame

Mutation = Callable[[Random, bytes], bytes]

# At the edges of what lengths, offsets, counts and types are held in.
NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 31)
NUMBERS += ((1 << 32) - 1, 1 << 32, 1 << 40, (1 << 62) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
BYTES = (b"", b"\0", b"\xff", b"\n", b"\x80", b"\r\n", b'"', b"\\", b"[", b"{", b"\xed\xa0\x80", b"\xef\xbb\xbf")
TEXTS = ("", " ", "a" * 5000, "\0", "\n", "\x1b[2J", "\ud800", "é", "../../x", "/etc/passwd", "None", "1e999")
TEXTS += ("[UNK]", "##", "\u202e", "{x}")
VALUES: tuple[Any, ...] = (None, True, False, 0, -1, 1, 1 << 31, 1 << 63, 1 << 80, -(1 << 63), 0.5, -0.0, 1e308)
VALUES += (float("inf"), float("nan"), *TEXTS, [], {}, [[]], [0], {"": None}, ["a"], {"a": {"b": 1}}, [None] * 300)


def anywhere(random: Random, data: bytes) -> bytes:
    """Change, cut, repeat, insert or move a few bytes."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = random.choice((_flipped, _overwritten, _inserted, _removed, _repeated, _cut, _moved))(random, data)
    return data


def _flipped(random: Random, data: bytes) -> bytes:
    if not data:
        return b"\0"
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]


def _overwritten(random: Random, data: bytes) -> bytes:
    number, width = random.choice(NUMBERS), random.choice((1, 2, 4, 8))
    written = (number % (1 << 8 * width)).to_bytes(width, random.choice(("little", "big")))
    place = random.randrange(len(data) + 1)
    return data[:place] + written + data[place + width :]


def _inserted(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    put = random.choice(
        (random.choice(BYTES), encode_varint(random.choice(NUMBERS)), random.randbytes(random.randrange(9)))
    )
    return data[:place] + put + data[place:]


def _span(random: Random, data: bytes) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 2, 4, 16, 64, 1000)))


def _removed(random: Random, data: bytes) -> bytes:
    start, end = _span(random, data)
    return data[:start] + data[end:]


def _repeated(random: Random, data: bytes) -> bytes:
    start, end = _span(random, data)
    return data[:end] + data[start:end] * random.choice((1, 2, 50)) + data[end:]


def _cut(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _moved(random: Random, data: bytes) -> bytes:
    start, end = _span(random, data)
    rest = data[:start] + data[end:]
    place = random.randrange(len(rest) + 1)
    return rest[:place] + data[start:end] + rest[place:]


def either(*mutations: Mutation) -> Mutation:
    """One of several; one time in eight anywhere."""

    def mutated(random: Random, data: bytes) -> bytes:
        chosen = anywhere if random.random() < 0.125 else random.choice(mutations)
        try:
            return chosen(random, data)
        # An earlier change may have left nothing that can be taken apart.
        except (ElectraConvertError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
            return anywhere(random, data)

    return mutated


# JSON


def json_values(random: Random, data: bytes) -> bytes:
    """Other values, keys and nesting in JSON."""
    value = json.loads(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        value = changed_value(random, value)
    return json.dumps(value, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")


def changed_value(random: Random, value: Any, depth: int = 0) -> Any:
    """The value with something in it changed."""
    if isinstance(value, dict | list) and value and random.random() < 0.9 and depth < 20:
        return _changed_member(random, value, depth)
    kind = random.randrange(8)
    if kind == 0:
        return [value]
    if kind == 1:
        return {"a": value, "b": value}
    if kind == 2:
        return _nested(random.choice((5, 90, 300, 3000)), value)
    if kind == 3 and isinstance(value, int | float) and not isinstance(value, bool):
        return random.choice((value + 1, -value, value * 2, value / 2 if abs(value) < 1e300 else 0))
    if kind == 4 and isinstance(value, str):
        place = random.randrange(len(value) + 1)
        return value[:place] + random.choice(TEXTS) + value[place:]
    return random.choice(VALUES)


def _changed_member(random: Random, value: Any, depth: int) -> Any:
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = random.choice(keys)
    changed = value.copy()
    kind = random.randrange(8)
    if kind == 0:
        del changed[key]
    elif kind == 1 and isinstance(value, dict):
        changed[random.choice((*TEXTS, *map(str, keys), str(key) + "x", str(key).upper()))] = changed.pop(key)
    elif kind == 2:
        changed[key] = value[random.choice(keys)]
    elif kind == 3 and isinstance(value, list):
        changed *= random.choice((2, 100)) if len(repr(changed)) < 10_000 else 1
    else:
        changed[key] = changed_value(random, value[key], depth + 1)
    return changed


def _nested(depth: int, value: Any) -> Any:
    # json.dumps recurses; what is deeper than it can write is put in as text by json_nesting.
    for _ in range(min(depth, 300)):
        value = [value]
    return value


def json_nesting(random: Random, data: bytes) -> bytes:
    """A value that nests deeper than any parser goes, in the place of one."""
    depth = random.choice((99, 101, 990, 3000, 100_000))
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    colons = [place for place, byte in enumerate(data) if byte == ord(":")]
    start = random.choice(colons) + 1
    deep = opening * depth + b"1" + closing * random.choice((depth, depth, 0))
    ends = [place for place in (data.find(mark, start) for mark in (b",", b"}")) if place >= 0]
    return data[:start] + deep + (data[min(ends) :] if ends else b"")


def json_text(random: Random, data: bytes) -> bytes:
    """The text of JSON that no program writes: keys twice, NaN, long numbers, halves of letters."""
    puts = (
        b'"a": 1, "a": 2, ',
        b"NaN",
        b"1" * 5000,
        b"-Infinity",
        rb'"\ud800"',
        b"1e999",
        b"0x1",
        b"//",
        b"'a'",
        b"\xff",
        b"01",
    )
    place = random.choice([place for place, byte in enumerate(data) if byte in b':,{["']) + 1
    return data[:place] + random.choice(puts) + data[place + random.randrange(3) :]


JSON = either(json_values, json_values, json_values, json_nesting, json_text)


# Protocol buffers


def protobuf(random: Random, data: bytes) -> bytes:
    """A field of a message changed, with every length around it right."""
    return _message(random, data, 0)


def _message(random: Random, data: bytes, depth: int) -> bytes:
    members = list(fields(data))
    if not members:
        return anywhere(random, data)
    index = random.randrange(len(members))
    number, value = members[index]
    kind = random.randrange(10)
    if kind == 0:
        members.pop(index)
    elif kind == 1:
        members.insert(random.randrange(len(members) + 1), members[index])
    elif kind == 2:
        members[index] = (random.choice((1, 2, 3, 15, 16, 1000, (1 << 29) - 1)), value)
    elif isinstance(value, int):
        members[index] = (number, random.choice((*NUMBERS, value + 1, value ^ 1)))
    else:
        members[index] = (number, _content(random, bytes(value), depth))
    return b"".join(_field(number, value) for number, value in members)


def _content(random: Random, value: bytes, depth: int) -> bytes:
    if depth < 12 and random.random() < 0.9:
        try:
            return _message(random, value, depth + 1)
        except ElectraConvertError:
            return anywhere(random, value)
    if random.random() < 0.02:
        return _deep_message(random.choice((100, 2000)))
    return anywhere(random, value)


def _deep_message(depth: int) -> bytes:
    message = b""
    for _ in range(depth):
        message = encode_content(1, message)
    return message


def _field(number: int, value: Any) -> bytes:
    if isinstance(value, int):
        return encode_number(number, value % (1 << 64))
    return encode_content(number, bytes(value))


# TensorFlow's containers


def table_blocks(random: Random, data: bytes) -> bytes:
    """The content of a block of a table changed, and its checksum made anew."""
    footer = data[-48:]
    position, handles = 0, []
    for _ in range(2):
        offset, position = decode_varint(footer, position)
        size, position = decode_varint(footer, position)
        handles.append((offset, size))
    handles.append((0, min(handles[0][0] - 5, len(data))))
    offset, size = random.choice(handles)
    payload = data[offset : offset + size]
    changed = anywhere(random, payload)
    # Of the same length, so that what follows it stays where its handles say.
    changed = changed[:size].ljust(size, random.choice((b"\0", b"\x01", b"\xff")))
    stored = changed + bytes([random.choice((0, 0, 0, 1, 2))])
    return data[:offset] + stored + mask(crc32c(stored)).to_bytes(4, "little") + data[offset + size + 5 :]


def table_footer(random: Random, data: bytes) -> bytes:
    """Handles in a table's footer that lead elsewhere."""
    handles = b"".join(encode_varint(random.choice((*NUMBERS, len(data), len(data) - 53))) for _ in range(4))
    return data[:-48] + handles[:40].ljust(40, b"\0") + data[-8:]


def table_entries(entries: Sequence[tuple[bytes, bytes]]) -> Mutation:
    """Entries of a table changed, and the table made anew of them."""

    def mutated(random: Random, _: bytes) -> bytes:
        changed = dict(entries)
        for _ in range(random.choice((1, 1, 2, 4))):
            key = random.choice(list(changed)) if changed else b""
            kind = random.randrange(10)
            if kind == 0:
                changed.pop(key, None)
            elif kind == 1:
                changed[anywhere(random, key)] = changed.get(key, b"")
            elif kind == 2:
                changed[key] = changed[random.choice(list(changed))] if changed else b""
            else:
                changed[key] = (protobuf if random.random() < 0.85 else anywhere)(random, changed.get(key, b""))
        return encode_table(sorted(changed.items()))

    return either(mutated)


def tfrecords(random: Random, data: bytes) -> bytes:
    """A record of a TFRecord file changed, and its checksums made anew."""
    records, position = [], 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 8], "little")
        records.append(data[position + 12 : position + 12 + length])
        position += length + 16
    index = random.randrange(len(records))
    records[index] = (protobuf if random.random() < 0.85 else anywhere)(random, records[index])
    return b"".join(map(frame, records))


def tfrecord_lengths(random: Random, data: bytes) -> bytes:
    """A length of a TFRecord file that is another, with the right checksum."""
    length = struct.pack("<Q", random.choice((*NUMBERS, len(data), len(data) - 16)))
    return length + mask(crc32c(length)).to_bytes(4, "little") + data[12:]


# safetensors


def safetensors_header(random: Random, data: bytes) -> bytes:
    """The header of a safetensors file changed, and its length made right."""
    length = int.from_bytes(data[:8], "little")
    header = JSON(random, data[8 : 8 + length])
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def safetensors_offsets(random: Random, data: bytes) -> bytes:
    """Shapes, types and places of tensors changed in a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    name = random.choice([name for name in header if name != "__metadata__"])
    entry = header[name] = dict(header[name])
    kind = random.randrange(4)
    if kind == 0:
        entry["data_offsets"] = [random.choice((*NUMBERS, *entry["data_offsets"])) for _ in range(2)]
    elif kind == 1:
        entry["shape"] = [random.choice((*NUMBERS, *entry["shape"], 0, -1)) for _ in range(random.randrange(5))]
    elif kind == 2:
        entry["dtype"] = random.choice(
            ("F64", "F32", "F16", "BF16", "I64", "U8", "BOOL", "F4", "F8_E4M3", "C64", "", "f32")
        )
    else:
        header[random.choice((f"{name}x", "a\0", "\ud800", "é" * 100))] = header.pop(name)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


# Archives and pickles


def zip_records(inner: Mutation) -> Mutation:
    """A record of a zip archive changed, and the archive made anew, with its checksums."""

    def mutated(random: Random, data: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            records = [(record.filename, archive.read(record)) for record in archive.infolist()]
        index = random.randrange(len(records))
        name, content = records[index]
        kind = random.randrange(12)
        if kind == 0:
            records.pop(index)
        elif kind == 1:
            records[index] = (random.choice((name + "x", name.rpartition(".")[0], "a/" + name, "../x.npy")), content)
        elif kind == 2:
            records.append((f"other/{name}", content))
        else:
            records[index] = (name, inner(random, content))
        made = io.BytesIO()
        packing = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        with zipfile.ZipFile(made, "w", packing) as archive:
            for name, content in records:
                archive.writestr(zipfile.ZipInfo(name), content, packing)
        return made.getvalue()

    return mutated


def zip_directory(random: Random, data: bytes) -> bytes:
    """The directory of a zip archive changed: methods, flags, versions, sizes, offsets."""
    places = [place for place in range(len(data) - 46) if data[place : place + 4] == b"PK\x01\x02"]
    place = random.choice(places)
    at, width = random.choice(
        ((6, 2), (8, 2), (8, 2), (10, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4))
    )
    number = random.choice((*NUMBERS, 8, 9, 12, 14, 25))
    at += place
    return data[:at] + (number % (1 << 8 * width)).to_bytes(width, "little") + data[at + width :]


def pickle_operations(random: Random, data: bytes) -> bytes:
    """Operations of a pickle left out, repeated, moved, or given other arguments."""
    places = [place for _, _, place in pickletools.genops(data)]
    parts = [data[start:end] for start, end in zip(places, [*places[1:], len(data)], strict=True)]
    for _ in range(random.choice((1, 1, 2))):
        index = random.randrange(len(parts))
        kind = random.randrange(6)
        if kind == 0:
            parts.pop(index)
        elif kind == 1:
            parts.insert(random.randrange(len(parts)), parts[index])
        elif kind == 2:
            other = random.randrange(len(parts))
            parts[index], parts[other] = parts[other], parts[index]
        elif kind == 3:
            parts[index] = random.choice(_OPERATIONS)
        else:
            # The argument alone, so that the operation stays one.
            parts[index] = parts[index][:1] + anywhere(random, parts[index][1:])[: len(parts[index]) + 8]
    return b"".join(parts)


_OPERATIONS = (
    *(bytes([code]) for code in b"(.012NQRabdeloqstu)}]\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94"),
    b"K\x00", b"J\xff\xff\xff\x7f", b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"\x8a\x05" + b"\0" * 4 + b"\x01",
    b"G" + b"\xff" * 8, b"cbuiltins\nbytearray\n", b"ccollections\nOrderedDict\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n", b"ctorch\nFloatStorage\n",
    b"ctorch\nSize\n", b"h\x00", b"q\xff", b"X\x04\0\0\0abcd", b"X\xff\xff\xff\x7f", b"\x8d" + b"\xff" * 8,
    b"j\xff\xff\xff\xff", b"r\xff\xff\xff\x7f",
)  # fmt: skip


def npy_header(random: Random, data: bytes) -> bytes:
    """The header of an .npy changed, and its length made right."""
    length = int.from_bytes(data[8:10], "little")
    header = data[10 : 10 + length].rstrip().decode("latin-1")
    changes = (
        lambda: header.replace("(", f"({random.choice((*NUMBERS, -1))}, ", 1),
        lambda: header.replace("<", random.choice((">", "|", "=", "")), 1),
        lambda: header.replace("i", random.choice("fcSUOVMmb"), 1),
        lambda: header.replace("False", random.choice(("True", "1", "None", "(0,)")), 1),
        lambda: header.replace("'shape'", random.choice(("'shap'", "'descr'", "0")), 1),
        lambda: header[: random.randrange(len(header))],
        lambda: "(" * random.choice((50, 500, 4000)) + header,
        lambda: header.replace("'<", "[('a', '<", 1).replace("',", "')],", 1),
        lambda: anywhere(random, header.encode("latin-1")).decode("latin-1"),
    )
    changed = random.choice(changes)().encode("latin-1")
    changed = changed.ljust(len(changed) + -(len(changed) + 11) % 64) + b"\n"
    if len(changed) >= 1 << 16:
        raise ValueError("too long for its length")
    version = random.choice((b"\x01\x00", b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"))
    return (
        data[:6]
        + version
        + len(changed).to_bytes(2 if version[0] == 1 else 4, "little")
        + changed
        + data[10 + length :]
    )


def gzipped(inner: Mutation) -> Mutation:
    """What a gzip file holds changed, and packed anew."""
    return lambda random, data: gzip.compress(inner(random, gzip.decompress(data)), 1)


# Text

_TEXTS_IN_BYTES = [text.encode("utf-8", "surrogatepass") for text in TEXTS]


def lines(random: Random, data: bytes) -> bytes:
    """Lines of a text left out, repeated, joined, or with something odd in them."""
    parts = data.split(b"\n")
    index = random.randrange(len(parts))
    kind = random.randrange(6)
    if kind == 0:
        parts.pop(index)
    elif kind == 1:
        parts.insert(random.randrange(len(parts) + 1), parts[index])
    elif kind == 2:
        parts[index] *= random.choice((2, 300))
    else:
        place = random.randrange(len(parts[index]) + 1)
        put = random.choice((*BYTES, *_TEXTS_IN_BYTES, b"\t", b",", b'""', b";", b"\x00\x00"))
        parts[index] = parts[index][:place] + put + parts[index][place:]
    return b"\n".join(parts)


TEXT = either(lines)
