"""Which checks begin without being asked, which end when another clip is looked at, and what is kept."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine import checks
from ui import inside
from ui.inside_kept import Insight, MapChoice
from ui.visit import Visit

FIRST, SECOND = MapChoice("attention"), MapChoice("attention", 0, 1)
WEIGHTS = np.ones((2, 2, 2), np.float32)


@dataclass
class Check:
    """In the place of a running check."""

    state: str = "running"
    cancelled: list[bool] = field(default_factory=list)

    def cancel(self) -> None:
        self.cancelled.append(True)


@pytest.fixture
def held() -> dict[str, list[Any]]:
    """visitor → the visitor's checks that the server knows."""
    return {}


@pytest.fixture
def visit(held: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch) -> Visit:
    """A visit on a server whose checks do nothing, and where a pass is said to take 10 ms."""
    one = Visit("somebody")
    server = SimpleNamespace(checks=held)
    for name, value in {
        "visit": lambda: one,
        "visitor": lambda: one.visitor,
        "get_server": lambda: server,
        "get_engine": lambda: None,
        "compares_by_itself": lambda: True,
        "about_seconds": lambda insight, passes: passes * 0.01,
    }.items():
        monkeypatch.setattr(inside, name, value)
    for name in ("start_deletion", "start_orders"):
        monkeypatch.setattr(checks, name, lambda *_: Check())
    return one


def insight(number: int) -> Insight:
    nothing: Any = None
    return Insight((number,), nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing, maps={})


def test_what_takes_little_begins_once_and_for_the_first_map_alone(visit: Visit) -> None:
    seen = insight(0)
    inside.begin_checks(seen, FIRST, WEIGHTS)
    began = seen.checks
    assert list(seen.deletions) == [FIRST] and seen.orders
    inside.begin_checks(seen, SECOND, WEIGHTS)
    assert seen.checks == began


def test_what_takes_long_waits_to_be_asked(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = insight(0)
    monkeypatch.setattr(inside, "about_seconds", lambda insight, passes: passes * 0.1)  # 60 take 6 s, 9 take 0.9 s
    inside.begin_checks(seen, FIRST, WEIGHTS)
    assert not seen.deletions and seen.orders
    monkeypatch.setattr(inside, "compares_by_itself", lambda: False)
    other = insight(1)
    inside.begin_checks(other, FIRST, WEIGHTS)
    assert not other.checks


def test_another_map_or_clip_ends_a_check_and_the_server_knows_those_that_run(
    visit: Visit, held: dict[str, list[Any]]
) -> None:
    first, second = insight(0), insight(1)
    visit.insights += [first, second]
    inside.begin_checks(first, FIRST, WEIGHTS)
    inside.check_map(first, SECOND, WEIGHTS)
    of_first, of_second = (first.deletions[choice] for choice in (FIRST, SECOND))
    assert of_first.cancelled and not of_second.cancelled  # type: ignore[attr-defined]
    assert held["somebody"] == [first.orders, of_first, of_second]
    assert inside.find((1,)) is second
    assert all(check.cancelled for check in first.checks)  # type: ignore[attr-defined]
    of_first.state = "cancelled"
    inside.check_orders(second)
    assert of_first not in held["somebody"]


def test_what_was_looked_at_last_is_kept(visit: Visit) -> None:
    visit.insights += [insight(number) for number in range(3)]
    assert inside.find((0,)) and [one.key for one in visit.insights] == [(1,), (2,), (0,)]
    assert inside.find((7,)) is None
