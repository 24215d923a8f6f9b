"""TensorFlow's numbers for the types of elements; what they are is said in tensors.py.

Source: tensorflow/core/framework/types.proto.
"""

from __future__ import annotations

from collections.abc import Mapping

from electra_convert.tensors.spec import DTYPES, DType

STRING = 7

_NUMBERS = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    STRING: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    20: "resource",
    21: "variant",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
    26: "float8_e4m3fnuz",
    27: "float8_e4m3b11fnuz",
    28: "float8_e5m2fnuz",
}
# What a quantised type's numbers mean is in no checkpoint: they are read as the integers that are stored.
_QUANTISED = {11: "int8", 12: "uint8", 13: "int32", 15: "int16", 16: "uint16"}
_NARROW = {29: "int4", 30: "uint4", 31: "int2", 32: "uint2", 33: "float4_e2m1fn"}


def _by_number() -> dict[int, DType]:
    table = {number: DTYPES[name] for number, name in (_NUMBERS | _QUANTISED).items()}
    return table | {number: DType(name, "opaque", 0) for number, name in _NARROW.items()}


BY_NUMBER: Mapping[int, DType] = _by_number()
# What can be written: a type that is read under two numbers has the plain one.
TO_NUMBER: Mapping[DType, int] = {
    DTYPES[name]: number for number, name in _NUMBERS.items() if DTYPES[name].kind != "opaque"
}


def contents(dtype: DType) -> str:
    """Say what a tensor that cannot be read as numbers holds.

    Args:
        dtype: one of the opaque kind.

    Returns:
        A phrase that completes "it holds ...".
    """
    phrases = {
        "string": "text, not numbers",
        "resource": "a resource, not numbers",
        "variant": "variants, not numbers",
    }
    return phrases.get(dtype.name, f"{dtype} elements, narrower than a byte")
