"""How properties are tested, and the names that strangers give things."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# The same examples each time, and few enough of them that a property takes a second or so. A busy machine draws slowly.
PROPERTY = settings(deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow])


def names(marks: str, *pieces: str, never: str = "", least: int = 0) -> st.SearchStrategy[str]:
    """Texts of which half are full of what somebody reads as marks, and half are anything.

    Args:
        marks, pieces: characters and longer texts that mean something to whoever reads the text.
        never: characters that the other half does not have.
        least: the fewest characters or pieces of a text.
    """
    marked = st.lists(st.sampled_from([*marks, *pieces, "a"]), min_size=least, max_size=24).map("".join)
    return marked | st.text(
        st.characters(exclude_characters=never, exclude_categories=["Cs"]), min_size=least, max_size=60
    )
