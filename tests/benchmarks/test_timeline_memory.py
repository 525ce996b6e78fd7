"""`benchmarks.timeline --memory`: what it refuses. The figures themselves take minutes, and are taken by hand."""

import pytest

from benchmarks.timeline_memory import memory


def test_a_film_too_short_for_its_memory_is_refused() -> None:
    with pytest.raises(SystemExit, match="more than 3 minutes"):
        memory(3, "vivit-mannequin")
