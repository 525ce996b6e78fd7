"""Files of one kind that are kept in folders: written whole, and one that cannot be read hides no other. No torch is used."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from vivit.errors import UserError

Kept = TypeVar("Kept")


def readable(folder: str | Path, suffix: str, load: Callable[[Path, int, int], Kept]) -> Iterator[Kept]:
    """What the files of a folder hold, by their names; a folder that does not exist holds none.

    Args:
        folder: where they are.
        suffix: how their names end.
        load: of a file, when it was written, by `time.time_ns`, and its size in bytes, by which it may remember a state of one;
            what raises `vivit.errors.UserError` or OSError is left out.
    """
    for file in sorted(Path(folder).glob(f"*{suffix}")):
        try:
            state = file.stat()
            found = load(file, state.st_mtime_ns, state.st_size)
        except (OSError, UserError):
            continue  # gone, of a later version, or damaged
        yield found


def keep_text(file: Path, text: str) -> None:
    """Write a file in the place of an earlier state of it, whole: a reader never sees half of one.

    Raises:
        OSError: if it cannot be written; the earlier state stays, and nothing else.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}.part")  # another process may be writing its own
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError:
        with suppress(OSError):
            part.unlink()  # a full disk needs the room
        raise
