"""vivit.records: what JSON gives back is what was written, or it is refused."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pytest

from vivit.records import from_json


@dataclass(frozen=True)
class Inner:
    name: str
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner
    pair: tuple[int, str]
    rate: float
    state: Literal["on", "off"]
    rows: list[Inner]
    by_name: dict[str, float]
    perhaps: Inner | None = None
    anything: Any = None


WHOLE = Outer(Inner("a", (1, 2)), (3, "b"), 1.5, "on", [Inner("c")], {"d": 2.5}, Inner("e"), {"f": [1, None]})
PLAIN = json.loads(json.dumps(asdict(WHOLE)))


def test_what_was_written_comes_back() -> None:
    assert from_json(Outer, PLAIN) == WHOLE
    assert from_json(Outer, asdict(WHOLE)) == WHOLE
    assert from_json(tuple[Inner, ...], [{"name": "a"}, {"name": "b"}]) == (Inner("a"), Inner("b"))
    rate = from_json(Outer, PLAIN | {"rate": 2, "perhaps": None}).rate
    assert rate == 2.0 and type(rate) is float


@pytest.mark.parametrize(
    "wrong",
    [
        {"inner": None},
        {"inner": {"name": 1}},
        {"inner": {"name": "a", "more": 1}},
        {"inner": {}},
        {"inner": [["name", "a"]]},
        {"pair": [3]},
        {"pair": ["b", 3]},
        {"rate": "1.5"},
        {"rate": True},
        {"rate": None},
        {"rate": 10**400},
        {"state": "broken"},
        {"rows": {"name": "c"}},
        {"rows": [1]},
        {"by_name": {"d": "x"}},
        {"by_name": []},
        {"perhaps": 1},
        {"unknown": 1},
    ],
    ids=str,
)
def test_anything_else_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        from_json(Outer, PLAIN | wrong)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="rate"):
        from_json(Outer, {name: value for name, value in PLAIN.items() if name != "rate"})
