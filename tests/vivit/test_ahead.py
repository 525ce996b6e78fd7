from collections.abc import Iterator

import pytest

from vivit.ahead import in_groups, kept_back


def counted(number: int, taken: list[int], then: Exception | None = None) -> Iterator[int]:
    for k in range(number):
        taken.append(k)
        yield k
    if then:
        raise then


@pytest.mark.parametrize("number", [0, 1, 2, 3, 7])
def test_groups_are_taken_when_they_are_asked_for(number: int) -> None:
    taken: list[int] = []
    groups = in_groups(counted(number, taken), lambda group: len(group) == 3)
    assert not taken
    sizes = []
    for group in groups:
        assert group == taken[-len(group) :]
        sizes.append(len(group))
    assert sizes == [3] * (number // 3) + [number % 3] * bool(number % 3)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 7])
def test_a_fault_is_raised_after_the_group_before_it(number: int) -> None:
    groups = in_groups(counted(number, [], OSError("bad")), lambda group: len(group) == 3)
    found: list[int] = []
    with pytest.raises(OSError, match=r"^bad$"):
        for group in groups:
            found += group
    assert found == [*range(number)]


@pytest.mark.parametrize("back", [0, 1, 2, 9])
def test_things_are_given_once_so_many_more_have_begun(back: int) -> None:
    taken: list[int] = []
    for k, thing in enumerate(kept_back(counted(5, taken), back)):
        assert thing == k and len(taken) == min(5, k + 1 + back)
    assert len(taken) == 5


@pytest.mark.parametrize("back", [0, 1, 9])
def test_a_fault_is_raised_after_all_that_was_begun(back: int) -> None:
    things = kept_back(counted(5, [], OSError("bad")), back)
    found: list[int] = []
    with pytest.raises(OSError, match=r"^bad$"):
        found.extend(things)
    assert found == [*range(5)]
