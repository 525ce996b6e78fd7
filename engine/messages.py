"""What crosses the wall between server and worker: one JSON header and raw byte blobs a message, never a pickle.

On the wire: the header's length (4 bytes, big-endian), the header (strict JSON: NaN and infinities are refused in both
directions, tuples arrive as lists, keys as strings), then the blobs, whose sizes the header lists under "blobs".
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Generic, TypeVar

MAX_HEADER_BYTES = 16 * 2**20
MAX_BLOBS = 10_000
MAX_BLOB_BYTES = 512 * 2**20  # all blobs of one message together

Reply = TypeVar("Reply")


@dataclass(frozen=True)
class Request(Generic[Reply]):
    """A question for a worker, see `engine.tasks`: its fields, and those of what answers it, are the JSON of a header.

    Each kind says which worker takes it, what its task is called there, and what kind of dataclass the reply is.
    """

    WORKER: ClassVar[str]
    TASK: ClassVar[str]
    REPLY: ClassVar[type]


@dataclass(frozen=True)
class Nothing:
    """An answer that is all in its bytes, or in having been given."""


def pack(header: dict[str, Any], blobs: Sequence[bytes] = ()) -> list[bytes | memoryview]:
    """Turn one message into the pieces to send, without copying the blobs.

    Raises:
        TypeError: what is not JSON, or a blob that is not contiguous bytes.
        ValueError: a float that is not finite, or more than the bounds above.
    """
    views = [memoryview(blob).cast("B") for blob in blobs]
    text = json.dumps({**header, "blobs": [view.nbytes for view in views]}, allow_nan=False).encode("ascii")
    if len(text) > MAX_HEADER_BYTES or len(views) > MAX_BLOBS or sum(view.nbytes for view in views) > MAX_BLOB_BYTES:
        raise ValueError(f"message too large: {len(text)} bytes of JSON, {len(views)} blobs")
    return [struct.pack(">I", len(text)) + text, *views]


def unpack(stream: BinaryIO) -> tuple[dict[str, Any], list[bytes]]:
    """Read one message; blocks until it is whole.

    Raises:
        EOFError: the other side is gone.
        ValueError: not a message, or more than the bounds above.
    """
    (length,) = struct.unpack(">I", _read(stream, 4))
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"header of {length} bytes")
    try:
        header = json.loads(_read(stream, length), parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("a header nested too deeply") from error
    sizes = header.pop("blobs", None) if isinstance(header, dict) else None
    if not isinstance(sizes, list) or len(sizes) > MAX_BLOBS or not all(type(n) is int and n >= 0 for n in sizes):
        raise ValueError("malformed header")
    if sum(sizes) > MAX_BLOB_BYTES:
        raise ValueError(f"blobs of {sum(sizes)} bytes")
    return header, [_read(stream, size) for size in sizes]


def _read(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
