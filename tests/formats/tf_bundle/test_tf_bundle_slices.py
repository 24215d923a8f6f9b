import numpy as np
import pytest
from tf_bundle_files import tensor_of

from electra_convert.errors import CorruptFileError
from electra_convert.formats.tf_bundle.entries import Extent
from electra_convert.formats.tf_bundle.slices import Part, assemble, region, region_shape, slice_key
from electra_convert.tensors.spec import DTYPES, TensorSpec


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "80"),
        (-1, "7f"),
        (63, "bf"),
        (64, "c040"),
        (-64, "40"),
        (-65, "3fbf"),
        (300, "c12c"),
        (30522, "e0773a"),
        (10_000_000, "f0989680"),
        (2**63 - 1, "ffc07fffffffffffffff"),
        (-(2**63), "003f8000000000000000"),
    ],
)
def test_a_number_is_encoded_so_that_it_sorts(value, encoded):
    assert slice_key(b"", (Extent(value),)).hex() == "0000010101" + encoded + "7f"


def test_the_key_of_a_slice_is_tensorflows():
    key = slice_key(b"p/part", (Extent(0, 4), Extent(0, 300)))
    assert key.hex(" ") == "00 70 2f 70 61 72 74 00 01 01 02 80 84 80 c1 2c"


def test_zeros_and_high_bytes_of_a_name_are_escaped():
    assert slice_key(b"\0a\xff", ()) == b"\0" + b"\0\xffa\xff\0" + b"\0\x01" + b"\0"


VARIABLE = TensorSpec("variable", DTYPES["float32"], (4, 3))
VALUES = np.arange(12, dtype="<f4").reshape(4, 3)


def part(rows: slice, columns: slice) -> Part:
    return Part((rows, columns), tensor_of("part", VALUES[rows, columns]))


def test_slices_are_put_together_where_they_belong():
    parts = [part(slice(2, 4), slice(0, 3)), part(slice(0, 2), slice(1, 3)), part(slice(0, 2), slice(0, 1))]
    np.testing.assert_array_equal(assemble(VARIABLE, parts), VALUES)


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([part(slice(0, 2), slice(0, 3))], "leave something out"),
        ([part(slice(0, 3), slice(0, 3)), part(slice(2, 4), slice(0, 3))], "overlap"),
        ([], "leave something out"),
    ],
)
def test_slices_that_do_not_cover_the_variable_once_are_refused(parts, complaint):
    with pytest.raises(CorruptFileError, match=complaint):
        assemble(VARIABLE, parts)


def test_a_region_is_cut_from_the_shape():
    assert region((Extent(), Extent(1, 2)), (4, 3)) == (slice(0, 4), slice(1, 3))
    assert region_shape((slice(0, 4), slice(1, 3))) == (4, 2)


@pytest.mark.parametrize(
    "extents", [(), (Extent(-1, 2),), (Extent(3, 2),), (Extent(0, -1),), (Extent(2**62, 2**62),)]
)
def test_a_slice_that_reaches_beyond_its_variable_is_refused(extents):
    with pytest.raises(CorruptFileError, match="a slice"):
        region(extents, (4,))
