"""TensorBoard's event files, written at once: what cannot be written is an error, and nothing waits in a queue.

A file is TFRecords of tensorflow.Event (tensorflow/core/util/event.proto). Only the fields that scalars need are
written, so no package is needed.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from pathlib import Path

from electra_convert.errors import OutputError, unwritable
from electra_convert.formats.tf_bundle.wire import encode_content, encode_number
from electra_convert.pretraining.corpus.tfrecords import frame

_VERSION = b"brain.Event:2"
# The numbers of fields; those of doubles and floats with their wire types, as they stand in a file.
_WALL_TIME = b"\x09"  # 1, a double
_STEP, _FILE_VERSION, _SUMMARY, _SESSION_LOG = 2, 3, 5, 7
_VALUE, _TAG = 1, 1
_SIMPLE_VALUE = b"\x15"  # 2, a float
_STATUS, _START = 1, 1


class EventsFile:
    """The scalars of a run, or of a part of it.

    Args:
        folder: TensorBoard's folder, made where it is missing; files of earlier parts stay in it.
        step: where the part begins; what earlier files have of later steps is passed over by TensorBoard.

    Raises:
        OutputError: it cannot be written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        # TensorBoard reads files in the order of their names.
        self._path = folder / f"events.out.tfevents.{int(time.time()):010d}.step-{step}"
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be made: {error.strerror}") from error
        start = encode_content(_SESSION_LOG, encode_number(_STATUS, _START))
        self._append(_event(encode_content(_FILE_VERSION, _VERSION)), _event(encode_number(_STEP, step + 1) + start))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append scalars.

        Args:
            step: the global step.
            values: the scalars by their tags.

        Raises:
            OutputError: they cannot be written.
        """
        summary = b"".join(encode_content(_VALUE, _scalar(tag, value)) for tag, value in values.items())
        self._append(_event(encode_number(_STEP, step) + encode_content(_SUMMARY, summary)))

    def _append(self, *events: bytes) -> None:
        try:
            with self._path.open("ab") as file:
                file.write(b"".join(map(frame, events)))
        except OSError as error:
            raise unwritable(self._path, error) from error


def _event(fields: bytes) -> bytes:
    return _WALL_TIME + struct.pack("<d", time.time()) + fields


def _scalar(tag: str, value: float) -> bytes:
    return encode_content(_TAG, tag.encode()) + _SIMPLE_VALUE + struct.pack("<f", value)
