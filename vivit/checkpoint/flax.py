"""Files of Flax's msgpack → named arrays, without Flax and executing nothing. Knows no model.

A file is one map of maps, whose leaves are arrays (an extension that holds shape, dtype and bytes) and small values. Where each
lies is found out first; what nobody asks for, such as an optimizer's moments, is never decoded.
"""

import math
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import torch
from torch import Tensor

from vivit.errors import UserError

# Beyond these limits a file is no checkpoint: Flax splits what is larger than 2^30 bytes, and no model has so many tensors.
MOST_ITEM = 2**30 + 2**24
MOST_NAMES, MOST_DEPTH, MOST_NAME, MOST_AXES = 200_000, 32, 512, 8
_READ_BYTES = 2**20
_HEAD = 1024  # bytes in which an array's shape and dtype stand

_CHUNKED = "__msgpack_chunked_array__"
_NDARRAY, _SCALAR = 1, 3  # Flax's extensions; 2 is a complex number
# First byte of an item of msgpack → how many bytes come before its content.
_EXTENSION = {0xC7: 3, 0xC8: 4, 0xC9: 6} | dict.fromkeys(range(0xD4, 0xD9), 2)
_BINARY = {0xC4: 2, 0xC5: 3, 0xC6: 5}
_DTYPES = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2"}  # numpy has no bfloat16

# What else a file may be, by its first bytes: no map of msgpack that holds anything begins with these.
_OTHERS = {
    b"PK": "a zip archive, as PyTorch and numpy write",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"\x1f\x8b": "compressed by gzip",
    b"\x89HDF": "an HDF5 file",
    b"<": "a page of the web",
    b"{": "JSON",
}

Place = slice  # from where to where in a file


class _Unusable(Exception):
    """Why a file is not read: the rest of a sentence that begins with the file."""


@dataclass(frozen=True)
class Array:
    """An array of a file, whose bytes are yet to be read.

    Args:
        shape: its axes.
        dtype: a key of `_DTYPES`.
        pieces: (where its bytes begin, how many numbers) of each piece, one after another.
    """

    shape: tuple[int, ...]
    dtype: str
    pieces: Sequence[tuple[int, int]]


class FlaxFile:
    """What is in a file.

    Args:
        path: the file.

    Raises:
        vivit.errors.UserError: if it is not wholly what Flax writes, in one sentence.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            with path.open("rb") as file:
                head = file.read(16)
                if not head:
                    raise _Unusable("is empty")
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if other := next((words for begin, words in _OTHERS.items() if head.startswith(begin)), ""):
                raise _Unusable(f"is no msgpack, which Flax writes, but {other}")
            if head[4:9] == b"\0\0\0\0{":  # behind the length of its header, which is JSON
                raise _Unusable("is no msgpack, which Flax writes, but safetensors")
            self.tree = self._read()
        except _Unusable as error:
            raise UserError(f"'{self.name}' {error}. Get the checkpoint again, or give another file.") from None
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            raise UserError(f"'{self.name}' cannot be read ({why}). Give another file.") from None

    def _read(self) -> dict[str, Any]:
        # For bytes that are not its own msgpack raises kinds of `ValueError` alone, except at the end of the file.
        unpacker = msgpack.Unpacker(
            self._data, read_size=_READ_BYTES, max_buffer_size=MOST_ITEM, max_str_len=MOST_NAME, max_ext_len=MOST_NAME
        )
        self._left = MOST_NAMES
        try:
            tree = self._node(unpacker, 0)
        except (msgpack.OutOfData, IndexError):
            raise _Unusable(f"is cut short: its {len(self._data):,} bytes end in the middle") from None
        except msgpack.BufferFull:
            raise _Unusable("holds one thing of more than 1 GB, which Flax would have split") from None
        except (ValueError, msgpack.UnpackException, RecursionError):  # StackError and FormatError among them
            raise _Unusable("is damaged, or no msgpack, which Flax writes") from None
        if not isinstance(tree, dict):
            raise _Unusable("is no checkpoint of Flax, which begins with a map of names")
        if unpacker.tell() != len(self._data):
            raise _Unusable("is no checkpoint of Flax: something stands behind its end")
        return tree

    def _node(self, unpacker: msgpack.Unpacker, depth: int) -> Any:
        """The next item: of a map name → node, of anything else its place."""
        start = unpacker.tell()
        if not (0x80 <= self._data[start] <= 0x8F or self._data[start] in (0xDE, 0xDF)):
            unpacker.skip()
            return slice(start, unpacker.tell())
        if depth == MOST_DEPTH:
            raise _Unusable(f"is no checkpoint of Flax: its maps are nested more than {MOST_DEPTH} deep")
        found: dict[str, Any] = {}
        for _ in range(unpacker.read_map_header()):
            self._left -= 1
            if self._left < 0:
                raise _Unusable(f"is no checkpoint of Flax: it holds more than {MOST_NAMES:,} names")
            if not 0xA0 <= self._data[unpacker.tell()] <= 0xBF and self._data[unpacker.tell()] not in (0xD9, 0xDA):
                raise _Unusable("is no checkpoint of Flax: its maps have keys that are no names")
            name = unpacker.unpack()
            if not name.isprintable():  # it may come to stand in a sentence
                raise _Unusable("is no checkpoint of Flax: its maps have keys that cannot be printed")
            if not name or "/" in name or name in found:  # names are told joined by '/', each once
                raise _Unusable("is no checkpoint of Flax: its maps have a name twice, an empty one, or one with '/'")
            found[name] = self._node(unpacker, depth + 1)
        return found

    def arrays(self, tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """Every name in a map of the file, its parts joined by '/' → the node that `array` takes."""
        found: dict[str, Any] = {}
        for name, node in tree.items():
            if isinstance(node, dict) and _CHUNKED not in node:
                found |= self.arrays(node, f"{prefix}{name}/")
            else:
                found[prefix + name] = node
        return found

    def array(self, name: str, node: Any) -> Array:
        """The array that a name stands for.

        Raises:
            vivit.errors.UserError: if there is none, or one whose shape, dtype and bytes contradict each other.
        """
        try:
            array = self._chunked(node) if isinstance(node, dict) else self._array(node)
        except (ValueError, msgpack.UnpackException, IndexError, KeyError, TypeError, AttributeError):
            array = None
        if array is None:
            raise UserError(
                f"{name} in '{self.name}' is no array of numbers, or is damaged. Get the checkpoint again, or give another."
            )
        if array.dtype not in _DTYPES:
            raise UserError(
                f"{name} in '{self.name}' is of dtype {array.dtype[:40]!r}; only {', '.join(_DTYPES)} are read. Give another "
                "checkpoint."
            )
        return array

    def _array(self, place: Place) -> Array | None:
        data = self._data
        header = _EXTENSION.get(data[place.start])
        if header is None or data[place.start + header - 1] not in (_NDARRAY, _SCALAR):
            return None
        start = place.start + header
        unpacker = msgpack.Unpacker(max_buffer_size=_HEAD)
        unpacker.feed(data[start : min(start + _HEAD, place.stop)])
        if unpacker.read_array_header() != 3:
            return None
        shape, dtype = unpacker.unpack(), unpacker.unpack()
        dtype = dtype.decode("ascii") if isinstance(dtype, bytes) else str(dtype)
        at = start + unpacker.tell()
        begin = at + _BINARY[data[at]]
        size = int.from_bytes(data[at + 1 : begin], "big")
        numbers = math.prod(_checked(shape))
        itemsize = np.dtype(_DTYPES[dtype]).itemsize if dtype in _DTYPES else None
        if begin + size != place.stop or (itemsize and size != numbers * itemsize):
            return None
        return Array(tuple(shape), dtype, [(begin, numbers)])

    def _chunked(self, node: Mapping[str, Any]) -> Array | None:
        """An array that Flax has split because it is larger than 2^30 bytes."""
        pieces = [self._array(place) for place in self._in_order(node["chunks"])]
        shape = node["shape"]
        axes = (
            [self._small(place) for place in self._in_order(shape)] if isinstance(shape, dict) else self._small(shape)
        )
        whole = [piece for piece in pieces if piece is not None]
        if len(whole) < len(pieces) or len({piece.dtype for piece in whole}) != 1:
            return None
        if math.prod(_checked(axes)) != sum(math.prod(piece.shape) for piece in whole):
            return None
        return Array(tuple(axes), whole[0].dtype, [place for piece in whole for place in piece.pieces])

    @staticmethod
    def _in_order(node: Mapping[str, Any]) -> list[Any]:
        """The entries of what was a tuple, '0', '1' and so on."""
        return [node[str(k)] for k in range(len(node))]

    def _small(self, place: Place) -> Any:
        return msgpack.unpackb(self._data[place.start : min(place.stop, place.start + _HEAD)])

    def read(self, array: Array) -> Tensor:
        """The numbers of an array, as float32."""
        dtype = _DTYPES[array.dtype]
        numbers = np.empty(math.prod(array.shape), np.float32)
        done = 0
        for begin, count in array.pieces:
            stored = np.frombuffer(self._data, dtype, count, begin)
            into = numbers[done : done + count]
            if array.dtype == "bfloat16":  # the upper half of a float32's bits
                np.left_shift(stored.astype(np.uint32), 16, out=into.view(np.uint32))
            else:
                into[...] = stored
            done += count
        return torch.from_numpy(numbers.reshape(array.shape))


def _checked(shape: Any) -> list[int]:
    """A shape, if it is one. Raises ValueError otherwise."""
    if not (isinstance(shape, list) and len(shape) <= MOST_AXES and all(type(n) is int and n > 0 for n in shape)):
        raise ValueError("no shape")
    return shape
