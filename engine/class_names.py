"""What visitors call their classes and clips: in one line, and no two classes that look the same."""

from collections.abc import Iterable
from unicodedata import category, normalize

from engine.teachings import TaughtClass
from vivit.errors import UserError

MOST_LETTERS = 60  # of a class's name
JOINERS = "\u200c\u200d"  # in Persian words and emoji of several parts they mean something


def one_line(text: str) -> str:
    """A name in one line, without control characters, surrogates, and marks that turn the direction of what follows."""
    plain = (" " if category(c) in ("Cc", "Cs") else c for c in text if category(c) != "Cf" or c in JOINERS)
    return " ".join("".join(plain).split())


def new_name(name: str, others: Iterable[TaughtClass]) -> str:
    """A class's name as it is kept. Raises UserError as `engine.lessons.Lessons.add_class`."""
    name = normalize("NFC", one_line(name))
    if not any(c.isprintable() for c in name):
        raise UserError("A class needs a name. Type what its clips show.")
    if len(name) > MOST_LETTERS:
        raise UserError(f"The name has {len(name)} letters, and may have {MOST_LETTERS}. Shorten it.")
    if there := next((one.name for one in others if _looks_like(one.name) == _looks_like(name)), None):
        raise UserError(f"There is a class '{there}' already. Give this one another name.")
    return name


def _looks_like(name: str) -> str:
    """What a name looks like, whatever its case."""
    return "".join(c for c in name.casefold() if c not in JOINERS)
