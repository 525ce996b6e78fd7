"""Which file of the original release is read, and what is no file of Flax."""

import struct
from pathlib import Path

import msgpack
import numpy as np
import pytest

from tests.vivit.checkpoint.flax_files import (
    model,
    packed,
    packed_tree,
    tree_of,
    write,
)
from tests.vivit.checkpoint.scenic_reading import CLIP, refused
from vivit.checkpoint import scenic
from vivit.errors import UserError

# What is no file of Flax


def _nested(depth: int) -> bytes:
    return b"\x81\xa1a" * depth + b"\xc0"


GOOD = msgpack.packb({"params": packed_tree(tree_of(model()))})
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "one byte less": (GOOD[:-1], "cut short"),
    "half": (GOOD[: len(GOOD) // 2], "cut short"),
    "two bytes": (GOOD[:2], "cut short"),
    "one byte": (GOOD[:1], "cut short"),
    "one byte more": (GOOD + b"\0", "behind its end"),
    "twice": (GOOD + GOOD, "behind its end"),
    "a zip archive": (b"PK\x03\x04" + bytes(100), "a zip archive"),
    "a pickle": (b"\x80\x04\x95" + bytes(100), "a pickle"),
    "safetensors": (struct.pack("<Q", 16) + b'{"a":1}' + bytes(100), "safetensors"),
    "safetensors, like a map": (struct.pack("<Q", 0x1681) + b'{"a":1}' + bytes(100), "safetensors"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "gzip"),
    "a page": (b"<!DOCTYPE html><html>", "a page of the web"),
    "JSON": (b'{"a": 1}', "JSON"),
    "text": (b"no such thing", "Flax"),
    "zeros": (bytes(1000), "Flax"),
    "noise": (np.random.default_rng(0).bytes(5000), "Flax"),
    "noise in a map": (b"\xdf\xff\xff\xff\xff" + np.random.default_rng(0).bytes(5000), "Flax"),
    "a list": (msgpack.packb([1, 2, 3]), "begins with a map"),
    "numbers for names": (msgpack.packb({1: 2}), "no names"),
    "bytes for names": (msgpack.packb({b"a": 2}), "no names"),
    "a name of two lines": (msgpack.packb({"a\nb": 2}), "cannot be printed"),
    "a name that moves the cursor": (msgpack.packb({"a\x1b[2J": 2}), "cannot be printed"),
    "a name that is no text": (b"\x81\xa2\xff\xfe\xc0", "damaged"),
    "a name without end": (b"\x81\xda\xff\xff" + b"a" * 65535 + b"\xc0", "damaged"),
    "a byte that msgpack has no use for": (b"\x81\xa1a\xc1", "damaged"),
    "deep maps": (_nested(100), "more than 32 deep"),
    "very deep maps": (_nested(10**5), "more than 32 deep"),
    "deep lists": (b"\x81\xa1a" + b"\x91" * 10**5 + b"\xc0", "damaged"),
    "many names": (
        b"\x81\xa1a\xdf" + struct.pack(">I", 10**6) + b"".join(b"\xa6%06d\xc0" % k for k in range(10**6)),
        "more than 200,000 names",
    ),
    "a name twice": (b"\x82\xa1a\xc0\xa1a\xc0", "a name twice"),
    "a name of two parts": (b"\x81\xa3a/b\xc0", "one with '/'"),
    "no name": (b"\x81\xa0\xc0", "an empty one"),
    "names without end": (b"\xdf\xff\xff\xff\xff", "cut short"),
    "a list without end": (b"\x81\xa1a\xdd\xff\xff\xff\xff\xc0", "cut short"),
    "bytes without end": (b"\x81\xa1a\xc6\xff\xff\xff\xff\0", "cut short"),
    "an array without end": (b"\x81\xa1a\xc9\xff\xff\xff\xfe\x01\0", "cut short"),
    "an array that msgpack counts wrongly": (b"\x81\xa1a\xc9\xff\xff\xff\xff\x01\0", "behind its end"),
}


@pytest.mark.parametrize(("content", "words"), FILES.values(), ids=FILES)
def test_what_is_no_file_of_flax_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "checkpoint").write_bytes(content)
    said = str(refused(tmp_path / "checkpoint"))
    assert words in said and "\n" not in said and said.count(". ") == 1, said


def test_no_more_than_one_piece_of_flax_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the limit of 1 GB, in small."""
    monkeypatch.setattr("vivit.checkpoint.flax.MOST_ITEM", 2**16)
    monkeypatch.setattr("vivit.checkpoint.flax._READ_BYTES", 2**10)
    file = write(tmp_path / "checkpoint", {"params": tree_of(model()), "state": packed(np.ones(2**12))})
    assert scenic.read(file, **CLIP)[0].num_labels == 7
    said = str(refused(write(tmp_path / "checkpoint", {"params": tree_of(model()), "state": packed(np.ones(2**14))})))
    assert "one thing of more than 1 GB" in said


def test_wherever_it_is_cut_it_is_told(tmp_path: Path) -> None:
    small = msgpack.packb({"params": packed_tree(tree_of(model(num_hidden_layers=1, hidden_size=2, num_labels=2)))})
    for end in range(1, len(small), 97):
        (tmp_path / "checkpoint").write_bytes(small[:end])
        assert "cut short" in str(refused(tmp_path / "checkpoint"))


def test_whatever_byte_is_wrong_nothing_else_is_raised(tmp_path: Path) -> None:
    """A sentence, or, where it is a byte of a number or a name nobody needs, a model."""
    small = bytearray(msgpack.packb({"params": packed_tree(tree_of(model(num_hidden_layers=1, hidden_size=2)))}))
    random, outcomes = np.random.default_rng(0), {"told": 0, "read": 0}
    for _ in range(300):
        at, changed = int(random.integers(len(small))), bytearray(small)
        changed[at] = random.integers(256)
        (tmp_path / "checkpoint").write_bytes(changed)
        try:
            dict(scenic.read(tmp_path / "checkpoint", **CLIP)[1])
            outcomes["read"] += 1
        except UserError:
            outcomes["told"] += 1
    assert min(outcomes.values()) > 25, outcomes


# Which file


def test_a_folder_with_one_checkpoint(tmp_path: Path) -> None:
    write(tmp_path / "checkpoint_12", {"params": tree_of(model())})
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "checkpoint_3.tmp").write_text("")
    assert scenic.checkpoint_file(tmp_path) == tmp_path / "checkpoint_12"
    assert scenic.read(tmp_path, **CLIP)[0].num_labels == 7


@pytest.mark.parametrize(
    ("names", "words"),
    [([], "no file 'checkpoint'"), (["checkpoint", "checkpoint_2"], "2 checkpoints (checkpoint, checkpoint_2)")],
)
def test_a_folder_that_does_not_say_which(tmp_path: Path, names: list[str], words: str) -> None:
    for name in names:
        (tmp_path / name).write_text("")
    assert words in str(refused(tmp_path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "There is no file" in str(refused(tmp_path / "checkpoint"))
    assert "is no file" in str(refused(Path("/dev/null")))
