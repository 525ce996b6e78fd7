"""vivit.names: every choice once, and the same choices wherever they are made or explained."""

import re
from pathlib import Path

import pytest

from vivit import names
from vivit.attention import ATTENTION
from vivit.precision import DTYPES
from vivit.processing import NORMALISATIONS
from vivit.video import SAMPLING

README = Path(__file__).parents[2] / "README.md"


def test_what_is_named_is_what_there_is() -> None:
    assert list(names.BACKENDS) == list(ATTENTION)
    assert list(names.PRECISIONS) == list(DTYPES)
    assert list(names.SAMPLING) == list(SAMPLING)
    assert list(names.NORMALISATION) == ["checkpoint", *NORMALISATIONS]


def test_no_two_backends_look_alike() -> None:
    colours = [backend.colour for backend in names.BACKENDS.values()]
    assert len(set(colours)) == len(colours) and all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)


@pytest.mark.parametrize("name", [*names.BACKENDS, *names.PRECISIONS])
def test_the_readme_tells_of_it(name: str) -> None:
    tables = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert any(f"`{name}`" in line.split("|")[1] for line in tables)
