"""Strangers' names, whatever is in them, are shown as they are and as nothing else."""

import re

from hypothesis import given
from hypothesis import strategies as st

from engine.class_names import JOINERS
from tests.properties import PROPERTY, names
from ui.escape import inert, literal

NAMES = names("\\`*_{}[]<>()#+-.!|~$:&;\n\r\t\x1b\u202e\u200d", "&lt;")
MARKS = "\\`*_[]<>#|~$:&"  # with which something begins, or ends, that is not just text
ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")  # CommonMark: a backslash before ASCII punctuation makes it text


@PROPERTY
@given(name=NAMES)
def test_markdown_shows_just_the_text(name: str) -> None:
    shown = literal(name)
    assert ESCAPED.sub(r"\1", shown) == name
    assert not set(MARKS) & set(ESCAPED.sub("", shown))


@PROPERTY
@given(name=NAMES, longest=st.integers(10, 90))
def test_a_name_is_one_short_line_that_turns_nothing(name: str, longest: int) -> None:
    shown = inert(name, longest)
    assert shown and shown.splitlines() == [shown] and len(shown) <= longest + 3  # ' … '
    assert all(c.isprintable() or c in JOINERS for c in shown)
    kept = "".join(c if c.isprintable() or c in JOINERS else " " for c in name).strip()
    if len(kept) <= longest:
        assert shown == (kept or "(no name)")
    else:
        half = longest // 2
        assert shown == kept[:half] + " … " + kept[half - longest :]
