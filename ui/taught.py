"""Checkpoints that visitors have taught here, by their names: where they lie is this server's own affair."""

from pathlib import Path

from engine.failures import LESSONS_PREFIX
from vivit.hub import split_name

TAUGHT = "taught here"  # the visitor's own, in lists and in the address


def is_taught(name: str) -> bool:
    """Whether a checkpoint was taught here, by the letters of its name alone."""
    return f"/{LESSONS_PREFIX}" in name


def same_visitor(name: str, other: str) -> bool:
    """Whether two checkpoints were taught here by one visitor."""
    return is_taught(name) and is_taught(other) and _whose(name) == _whose(other)


def _whose(name: str) -> tuple[str, ...]:
    """The visitor's own folder."""
    parts = Path(name).parts
    return parts[: next(k for k, part in enumerate(parts) if part.startswith(LESSONS_PREFIX)) + 2]


def public_name(name: str) -> str:
    """A checkpoint's name as it may leave the server: one that was taught here goes by the name of its own folder alone."""
    return Path(name).name if is_taught(name) else name


def called(name: str) -> str:
    """A checkpoint's name on a page, without the commit; those that were taught one after the other are told apart."""
    number = Path(name).parent.name.removeprefix("taught-") if is_taught(name) else ""
    return f"{public_name(name)} {number}" if number else split_name(name)[0]
