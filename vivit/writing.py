"""Folders for results, and those that a checkpoint is written into, whole or not at all. No torch is used."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from vivit.errors import UserError
from vivit.temporary import temporary_folder


def make_folder(folder: Path) -> None:
    """Make a folder for results, or find it usable.

    Raises:
        UserError: if nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):  # before the work whose results could not be kept
            pass
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"'{folder}' is no folder that can be written to ({reason}). Give another.") from error


def refuse_full(out: Path) -> None:
    """Raise UserError for what is no folder for a checkpoint: a file, or a folder that holds anything."""
    if out.is_file():
        raise UserError(f"'{out}' is a file. Give a folder that is empty or does not exist.")
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"The folder '{out}' is not empty. Give another, or one that does not exist.")


@contextmanager
def new_folder(out: Path) -> Iterator[None]:
    """Make a folder before the work whose results it is for; where the work fails, the folders that were made go again."""
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    make_folder(out)
    try:
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def write_whole(out: Path, write: Callable[[Path], None]) -> None:
    """Write files into a folder that is there, or nothing: the files come to their place once all of them are whole.

    Args:
        out: the folder.
        write: writes the files into the folder that it is given.

    Raises:
        UserError: if the files cannot be written, for want of room for instance.
    """
    from safetensors import SafetensorError

    try:
        with temporary_folder(out) as folder:
            write(folder)
            for file in sorted(folder.iterdir()):
                os.replace(file, out / file.name)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"'{out}' could not be written ({reason}). Free some space, or give another folder.") from error
