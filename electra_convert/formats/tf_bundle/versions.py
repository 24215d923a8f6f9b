"""Which of TensorFlow's two checkpoint formats a file is of, told by its first entry; reads nothing else of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from electra_convert.errors import SourceError
from electra_convert.formats.files import ReadFile
from electra_convert.formats.tf_bundle.entries import HEADER_KEY
from electra_convert.formats.tf_bundle.table import is_table, read_table

# The tag of the first field under the key "": in V1 the tensors' metadata (SavedTensorSlices in
# saved_tensor_slice.proto), in V2 the number of shards (BundleHeaderProto).
_FIRST_BYTES: Mapping[bytes, Literal[1, 2]] = {b"\x0a": 1, b"\x08": 2}


def container_version(path: Path) -> Literal[1, 2] | None:
    """Tell TensorFlow's tables from other files, and the two checkpoint formats apart.

    Args:
        path: any file.

    Returns:
        1 for a checkpoint in the old format (one file at the prefix), 2 for the index of one in the present format,
        None for anything else.

    Raises:
        SourceError: the file cannot be read.
        CorruptFileError: it is a table, but a damaged one.
    """
    with ReadFile(path) as file:
        if not is_table(file):
            return None
        key, value = next(read_table(file), (None, b""))
        return _FIRST_BYTES.get(value[:1]) if key == HEADER_KEY else None


def refuse_v1(path: Path) -> None:
    """Refuse a checkpoint in the V1 format, and let pass anything else.

    Args:
        path: a file.

    Raises:
        SourceError: it is such a checkpoint, or cannot be read.
        CorruptFileError: it is a table, but a damaged one.
    """
    if container_version(path) == 1:
        raise SourceError(
            f"{path} is a checkpoint in TensorFlow's old V1 format, which is not read",
            "Restore it once with TensorFlow 1's tf.train.Saver (tf.compat.v1 in TensorFlow 2), and save it again "
            "with tf.train.Saver(write_version=tf.train.SaverDef.V2).",
        )
