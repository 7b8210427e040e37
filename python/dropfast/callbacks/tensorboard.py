"""Layer 6: TensorBoard scalars, written without TensorBoard.

The file is a sequence of records (length, masked CRC-32C of it, data, masked CRC-32C of the data,
little endian); the data is a protocol buffer ``Event`` with wall_time = 1 (double), step = 2
(varint), file_version = 3 (string), summary = 5; a summary holds values = 1 with tag = 1 (string)
and simple_value = 2 (float).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Any

from dropfast.callbacks.base import Callback, Logs


class TensorBoard(Callback):
    """Writes losses and metrics of every epoch for TensorBoard.

    Parameters
    ----------
    log_dir
        Folder; training goes to its ``train``, validation to its ``validation``.
    histogram_freq, write_graph, write_images, write_steps_per_second
        For compatibility, without effect: losses and metrics of epochs are written.
    update_freq, profile_batch, embeddings_freq, embeddings_metadata
        For compatibility, without effect.

    Examples
    --------
    >>> import os, tempfile, numpy as np, dropfast as df
    >>> folder = tempfile.mkdtemp()
    >>> model = df.Sequential([df.layers.Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> log = df.callbacks.TensorBoard(folder)
    >>> _ = model.fit(np.ones((4, 1)), np.ones((4, 1)), verbose=0, callbacks=[log])
    >>> os.listdir(folder)
    ['train']
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        self.log_dir = os.fspath(log_dir)
        self._paths: dict[str, str] = {}

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write the epoch's values."""
        for name, value in (logs or {}).items():
            validation = name.startswith("val_")
            tag = f"epoch_{name.removeprefix('val_')}"
            event = scalar_event(time.time(), epoch, tag, float(value))
            self._write("validation" if validation else "train", event)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Each run has files of its own."""
        self._paths = {}

    def _write(self, part: str, event: bytes) -> None:
        if part not in self._paths:
            folder = os.path.join(self.log_dir, part)
            os.makedirs(folder, exist_ok=True)
            now = time.time()
            name = f"events.out.tfevents.{now:.6f}.{socket.gethostname()}.{os.getpid()}"
            self._paths[part] = os.path.join(folder, name)
            self._write(part, _double(1, now) + _bytes(3, b"brain.Event:2"))
        with open(self._paths[part], "ab") as file:
            file.write(record(event))


def scalar_event(wall_time: float, step: int, tag: str, value: float) -> bytes:
    """An ``Event`` that holds one value."""
    held = _bytes(1, tag.encode()) + _tag(2, 5) + struct.pack("<f", value)
    return _double(1, wall_time) + _tag(2, 0) + _varint(step) + _bytes(5, _bytes(1, held))


def record(data: bytes) -> bytes:
    """Data with its length and check sums."""
    length = struct.pack("<Q", len(data))
    sums = [struct.pack("<I", _masked(crc32c(part))) for part in (length, data)]
    return length + sums[0] + data + sums[1]


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), bit by bit: events are short.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _bytes(field: int, data: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(data)) + data


def _double(field: int, value: float) -> bytes:
    return _tag(field, 1) + struct.pack("<d", value)
