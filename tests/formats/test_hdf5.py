"""HDF5 files, held against h5py: the same datasets and values, and a refusal of all that Keras does not write."""

from __future__ import annotations

import random
import resource
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import unpacked
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_convert.errors import CorruptFileError, ElectraConvertError, SourceError
from electra_convert.formats import hdf5
from electra_convert.formats.hdf5 import reader

NAMES = st.text(st.characters(categories=["L", "N", "P"], exclude_characters="/"), min_size=1, max_size=12)
DTYPES = ["float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def values_of(path: Path) -> dict[str, np.ndarray]:
    with closing(hdf5.open_source(path)) as source:
        return {name: tensor.read() for name, tensor in source.tensors.items()}


def values_by_h5py(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, one: found.update({name: one[()]}) if isinstance(one, h5py.Dataset) else None)
    return found


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert sorted(found) == sorted(expected)
    for name, array in found.items():
        assert (array.dtype, array.shape) == (expected[name].dtype, expected[name].shape)
        assert array.tobytes() == np.ascontiguousarray(expected[name]).tobytes()


@pytest.fixture
def written(tmp_path):
    """Writes a file with h5py: what a function does with it."""

    def write(fill, **options) -> Path:
        path = tmp_path / "file.h5"
        with h5py.File(path, "w", **options) as file:
            fill(file)
        return path

    return write


@pytest.mark.parametrize("name", ["pretraining", "masked_lm", "functional"])
def test_what_transformers_and_keras_saved_is_read_as_h5py_reads_it(tmp_path, name):
    (path,) = unpacked(name, tmp_path).glob("*.h5")
    assert_same(values_of(path), values_by_h5py(path))


@settings(max_examples=30)
@given(st.dictionaries(st.tuples(NAMES, NAMES), st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 3)))))
def test_any_groups_dtypes_and_shapes_are_read_as_h5py_reads_them(tmp_path_factory, datasets):
    path = tmp_path_factory.mktemp("any") / "file.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for (group, name), (dtype, shape) in datasets.items():
            file[f"group {group}/{name}"] = rng.integers(0, 100, shape[:4]).astype(dtype)
    assert_same(values_of(path), values_by_h5py(path))


def test_a_group_of_so_many_links_that_its_tree_is_deep_is_read(written):
    path = written(lambda file: [file.create_dataset(f"layer_{n}", data=np.float32(n)) for n in range(400)])
    assert_same(values_of(path), values_by_h5py(path))


def test_values_are_read_when_they_are_asked_for_and_in_pieces(written):
    values = np.arange(1 << 18, dtype=np.float32)
    path = written(lambda file: file.create_dataset("a", data=values))
    with closing(hdf5.open_source(path)) as source:
        pieces = [bytes(piece) for piece in source.tensors["a"].stream(memoryview(bytearray(1 << 16)))]
    assert len(pieces) == 16
    assert b"".join(pieces) == values.tobytes()


# What Keras does not write


def chunked(file):
    file.create_dataset("here", data=np.zeros((64, 64), np.float32), chunks=(8, 8))


def compressed(file):
    # A bomb: 400 MB in a file of 400 kB.
    file.create_dataset("here", shape=(100_000_000,), dtype=np.float32, fillvalue=0, compression="gzip")


def elsewhere(file):
    external = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    file.create_dataset("here", shape=(4,), dtype=np.float32, external=external)


def soft(file):
    file["there"] = np.zeros(2, np.float32)
    file["here"] = h5py.SoftLink("/there")


def linked_file(file):
    file["here"] = h5py.ExternalLink("/etc/passwd", "/")


def big_endian(file):
    file["here"] = np.zeros(2, ">f4")


def odd_numbers(file):
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_ebias(100)
    space = h5py.h5s.create_simple((2,))
    h5py.h5d.create(file.id, b"here", kind, space)


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (chunked, "in here, is not as Keras writes it: it is stored in chunks"),
        (compressed, "in here, is not as Keras writes it: it is compressed"),
        (elsewhere, "in here, is not as Keras writes it: it lies in other files"),
        (soft, "a link that is a path"),
        (linked_file, "a link that is a path"),
        (big_endian, "in here, .* big-endian"),
        (odd_numbers, "in here, .* numbers of 4 bytes in a form of their own"),
    ],
)
def test_what_keras_does_not_write_is_refused_with_how_to_rewrite_it(written, fill, said):
    with pytest.raises(SourceError, match=said) as refused:
        hdf5.open_source(written(fill))
    assert "h5repack -n -f NONE -l CONTI" in refused.value.hint


@pytest.mark.parametrize(
    ("options", "said"), [({"libver": "latest"}, "newer form"), ({"userblock_size": 512}, "begins")]
)
def test_other_forms_of_file_are_refused(written, options, said):
    with pytest.raises(ElectraConvertError, match=said):
        hdf5.open_source(written(lambda file: file.create_dataset("a", data=np.zeros(3)), **options))


@pytest.mark.parametrize(
    "values", [np.array([b"text"]), np.array(["text"], object), np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")])]
)
def test_a_dataset_of_no_numbers_is_listed_and_not_read(written, values):
    path = written(lambda file: file.create_dataset("text", data=values))
    with closing(hdf5.open_source(path)) as source, pytest.raises(CorruptFileError, match="text holds string"):
        source.tensors["text"].read()


def test_references_to_objects_are_not_followed(written):
    def fill(file):
        file["there"] = np.zeros(2)
        file.create_dataset("here", data=[file["there"].ref], dtype=h5py.ref_dtype)

    with closing(hdf5.open_source(written(fill))) as source:
        assert source.tensors["here"].dtype.name == "string"


# What is damaged, or made to harm


def circle(file):
    inner = file.create_group("a/b")
    inner["c"] = file["a"]


def twice(file):
    file["a"] = np.zeros(3)
    file["b"] = file["a"]


def never_written(file):
    file.create_dataset("here", shape=(1 << 40,), dtype=np.float32)


def deep(file):
    file.create_group("/".join("a" * 40))


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (circle, "linked to more than once"),
        (twice, "linked to more than once"),
        (never_written, "in here, is damaged: its values were never written"),
        (deep, "deeper"),
        (lambda file: file.create_group("line\nfeed"), "cannot be a name"),
        (lambda file: file.create_group("a" * 5000), "no name ends"),
    ],
)
def test_what_could_run_on_for_ever_or_say_anything_is_damage(written, fill, said):
    with pytest.raises(CorruptFileError, match=said):
        hdf5.open_source(written(fill))


def test_more_datasets_than_any_model_has_are_refused(written, monkeypatch):
    monkeypatch.setattr(reader, "_MOST_OBJECTS", 100)
    path = written(lambda file: [file.create_dataset(f"group_{n}", data=n) for n in range(101)])
    with pytest.raises(CorruptFileError, match="more than 100 groups and datasets, as no model has"):
        hdf5.open_source(path)


def test_descriptions_longer_than_of_any_model_are_refused(written, monkeypatch):
    monkeypatch.setattr(reader, "_MOST_BYTES", 2000)
    path = written(lambda file: [file.create_dataset(f"a{n}", data=np.zeros(3)) for n in range(9)])
    with pytest.raises(CorruptFileError, match="longer than of any model"):
        hdf5.open_source(path)


@pytest.fixture
def small(written) -> Path:
    return written(lambda file: file.create_dataset("group/values", data=np.arange(5, dtype=np.float32)))


@pytest.mark.parametrize("kept", [0, 1, 8, 50, 99, 500, -8, -1])
def test_a_file_that_is_cut_short_is_refused(small, kept):
    small.write_bytes(small.read_bytes()[:kept])
    with pytest.raises(CorruptFileError, match=r"cut short|not an HDF5 file|is damaged"):
        values_of(small)


@pytest.mark.parametrize(
    ("shape", "said"),
    [((6,), r"20 bytes are stored for \[6\] of float32, expected 24"), ((1 << 40,), "expected 4398046511104")],
)
def test_a_shape_that_does_not_fit_what_is_stored_is_refused(small, shape, said):
    data = small.read_bytes()
    five = (5).to_bytes(8, "little") * 2  # the shape, and the largest it may become
    assert data.count(five) == 1
    small.write_bytes(data.replace(five, shape[0].to_bytes(8, "little") * 2))
    with pytest.raises(CorruptFileError, match=said):
        hdf5.open_source(small)


@pytest.mark.parametrize(("address", "said"), [(1 << 40, "beyond the end"), (2**64 - 1, "never written")])
def test_values_that_would_lie_outside_the_file_are_refused(small, address, said):
    with h5py.File(small) as file:
        place = file["group/values"].id.get_offset().to_bytes(8, "little") + (20).to_bytes(8, "little")
    data = small.read_bytes()
    assert data.count(place) == 1
    small.write_bytes(data.replace(place, address.to_bytes(8, "little") + (20).to_bytes(8, "little")))
    with pytest.raises(CorruptFileError, match=f"in group/values, is damaged: .*{said}"):
        hdf5.open_source(small)


def test_datasets_in_the_same_bytes_are_refused(written):
    path = written(lambda file: [file.create_dataset(name, data=np.zeros(5)) for name in "ab"])
    with h5py.File(path) as file:
        first, second = (file[name].id.get_offset().to_bytes(8, "little") for name in "ab")
    path.write_bytes(path.read_bytes().replace(second, first))
    with pytest.raises(CorruptFileError, match="a and b lie in the same bytes"):
        hdf5.open_source(path)


def test_what_is_no_hdf5_file_says_how_it_begins(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(CorruptFileError, match="is not an HDF5 file: it begins with b'PK"):
        hdf5.open_source(tmp_path / "a.h5")


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Bytes changed, pointers replaced, ranges copied, cut out or repeated; once or a few times."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        place, other = chance.randrange(len(data)), chance.randrange(len(data))
        word = place - place % 8
        numbers = [0, 1, 8, len(data), 2**32, 2**63, 2**64 - 1, other, other - other % 8, 96, 136, 680]
        match chance.randrange(5):
            case 0:
                data[place] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])
            case 1:
                data[word : word + 8] = chance.choice(numbers).to_bytes(8, "little")
            case 2:
                data[place : place + 64] = data[other : other + 64]
            case 3:
                data[place:place] = data[place : place + chance.randrange(64)]
            case _:
                del data[max(place, 1) :]
    return bytes(data)


@pytest.mark.parametrize("count", [200, pytest.param(100_000, marks=pytest.mark.long)])
def test_damaged_files_end_in_one_line_of_error_and_little_memory(tmp_path, count):
    seeds = [next(unpacked(name, tmp_path).glob("*.h5")).read_bytes() for name in ("pretraining", "functional")]
    chance = random.Random(count)
    path = tmp_path / "damaged.h5"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for _ in range(count):
        path.write_bytes(mutated(chance.choice(seeds), chance))
        said = ""
        try:
            values_of(path)
        except ElectraConvertError as error:
            said = error.message
        refused += bool(said)
        assert len(said) < 700
        assert not said or said.isprintable()
    assert refused > count / 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
