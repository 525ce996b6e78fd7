"""Messages of any content, in whatever pieces a stream brings them: they come whole, or not at all."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import messages
from engine.messages import pack, unpack
from tests.properties import PROPERTY

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=4,
)
HEADERS = st.dictionaries(st.text(max_size=12).filter(lambda key: key != "blobs"), JSON, max_size=3)
BLOBS = st.lists(st.binary(max_size=60), max_size=3)
MESSAGES = st.tuples(HEADERS, BLOBS)


class Pieces(io.RawIOBase):
    """A stream that gives its bytes in pieces. Args: sizes: of the pieces, again and again."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self._content, self._sizes, self._reads = content, sizes, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(self._sizes[self._reads % len(self._sizes)], len(buffer))
        piece, self._content = self._content[:size], self._content[size:]
        self._reads += 1
        buffer[: len(piece)] = piece
        return len(piece)


def packed(header: dict[str, Any], blobs: list[bytes]) -> bytes:
    return b"".join(pack(header, blobs))


@PROPERTY
@given(sent=st.lists(MESSAGES, min_size=1, max_size=3), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_messages_come_back_as_they_were_in_any_pieces(
    sent: list[tuple[dict[str, Any], list[bytes]]], sizes: list[int]
) -> None:
    stream = io.BufferedReader(Pieces(b"".join(packed(*message) for message in sent), sizes))
    assert [unpack(stream) for _ in sent] == sent
    with pytest.raises(EOFError):
        unpack(stream)


@PROPERTY
@given(message=MESSAGES, data=st.data())
def test_a_message_that_is_cut_short_is_none(message: tuple[dict[str, Any], list[bytes]], data: st.DataObject) -> None:
    whole = packed(*message)
    cut = data.draw(st.integers(0, len(whole) - 1), "cut")
    with pytest.raises(EOFError):
        unpack(io.BytesIO(whole[:cut]))


@PROPERTY
@given(message=MESSAGES, bound=st.sampled_from(["MAX_HEADER_BYTES", "MAX_BLOBS", "MAX_BLOB_BYTES"]))
def test_what_is_larger_than_a_bound_is_neither_sent_nor_taken(
    message: tuple[dict[str, Any], list[bytes]], bound: str
) -> None:
    whole, blobs = packed(*message), message[1]
    blob_bytes = sum(map(len, blobs))
    sizes = {"MAX_HEADER_BYTES": len(whole) - 4 - blob_bytes, "MAX_BLOBS": len(blobs), "MAX_BLOB_BYTES": blob_bytes}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, bound, sizes[bound])
        assert packed(*message) == whole and unpack(io.BytesIO(whole)) == message
        patch.setattr(messages, bound, sizes[bound] - 1)
        with pytest.raises(ValueError, match="too large"):
            pack(*message)
        with pytest.raises(ValueError):
            unpack(io.BytesIO(whole))


def _asks_for_bytes(sizes: Any) -> bool:
    return not isinstance(sizes, list) or any(size != 0 for size in sizes)


# Any bytes, and headers whose 'blobs' are missing or any JSON but a list of sizes that all are 0: that is a message.
NOISE = st.binary(max_size=80) | (HEADERS | st.fixed_dictionaries({"blobs": JSON.filter(_asks_for_bytes)})).map(
    lambda header: json.dumps(header).encode()
)


@PROPERTY
@given(noise=NOISE, length=st.none() | st.integers(0, 90))
def test_noise_is_no_message(noise: bytes, length: int | None) -> None:
    """It is refused as what it is: nothing else is raised."""
    for start in (b"", (len(noise) if length is None else length).to_bytes(4, "big")):
        with pytest.raises((EOFError, ValueError)):
            unpack(io.BytesIO(start + noise))


def test_a_header_nested_without_end_is_no_message() -> None:
    noise = b"[" * 10**6
    with pytest.raises(ValueError, match="too deeply"):
        unpack(io.BytesIO(len(noise).to_bytes(4, "big") + noise))
