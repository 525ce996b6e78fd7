"""Checkpoints that visitors have taught here, by their names: where they lie is this server's own affair."""

from pathlib import Path

from engine.lessons import PREFIX
from vivit.hub import split_name

TAUGHT = "taught here"  # the visitor's own, in lists and in the address


def is_taught(name: str) -> bool:
    """Whether a checkpoint is one, by its name's letters alone."""
    return f"/{PREFIX}" in name


def public_name(name: str) -> str:
    """A checkpoint's name as it may leave the server: 'taught-2' of one that was taught here, others as they are."""
    return Path(name).name if is_taught(name) else name


def called(name: str) -> str:
    """The same without the commit, for a page."""
    return split_name(public_name(name))[0]
