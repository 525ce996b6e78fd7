"""Labels of clips and the classes of checkpoints, under every spelling that is met."""

import pytest

from vivit.errors import UserError
from vivit.evaluate.labels import labelled, match_labels
from vivit.evaluate.records import LabelledClip
from vivit.evaluate.sources import Found
from vivit.hub.labels import kinetics400_labels, kinetics600_labels

KINETICS_400, KINETICS_600 = (dict(enumerate(names())) for names in (kinetics400_labels, kinetics600_labels))


def folder(label: str) -> str:
    """A class as Kinetics' folders are named."""
    return label.replace(" ", "_").translate({ord(sign): "-" for sign in "()'"})


@pytest.mark.parametrize("spell", [str, folder, str.upper], ids=["CSV", "folder", "capitals"])
@pytest.mark.parametrize("classes", [KINETICS_400, KINETICS_600], ids=["400", "600"])
def test_every_class_of_kinetics_is_found_in_each_spelling(classes: dict[int, str], spell: type[str]) -> None:
    found = match_labels([spell(name) for name in classes.values()], classes)
    assert found.targets == {spell(name): index for index, name in classes.items()} and not found.unknown


def test_classes_that_kinetics_renamed_are_found_and_those_that_it_narrowed_are_not() -> None:
    asked = ["dying hair", "making_bed", "tying tie", "hugging", "changing wheel", "archery"]
    found = match_labels(asked, KINETICS_600)
    assert {KINETICS_600[k] for k in found.targets.values()} == {
        "dyeing hair",
        "making the bed",
        "tying necktie",
        "archery",
    }
    assert found.unknown == {"hugging": 1, "changing wheel": 1}
    back = match_labels(["dyeing hair", "making the bed", "tying necktie", "hugging (not baby)"], KINETICS_400)
    assert [KINETICS_400[k] for k in back.targets.values()] == ["dying hair", "making bed", "tying tie"]


def test_numbers_are_those_of_classes_where_all_are() -> None:
    assert match_labels(["0", "116", "400"], KINETICS_400).targets == {"0": 0, "116": 116}
    assert match_labels(["0", "116", "400"], KINETICS_400).unknown == {"400": 1}
    assert match_labels(["3", "archery"], KINETICS_400).unknown == {"3": 1}
    assert (
        match_labels(["116"], KINETICS_400).notice
        == "Labels are numbers, and taken as those of classes: 0 is 'abseiling'."
    )
    with pytest.raises(UserError, match="counted from 1"):
        match_labels(["1", "2"], {0: "wave", 1: "jump"})
    assert match_labels(["0", "1", "2"], {0: "wave", 1: "jump"}).unknown == {"2": 1}


@pytest.mark.parametrize(
    ("label", "classes"),
    [("Wave", {0: "wave", 1: "w_ave"}), ("wave", {0: "wave", 1: "wave"}), ("1", {0: "1", 1: "2"})],
    ids=["spellings", "twice", "a number"],
)
def test_what_may_mean_two_classes_is_refused(label: str, classes: dict[int, str]) -> None:
    with pytest.raises(UserError, match=r"may mean class 0 .* or 1 "):
        match_labels([label], classes)
    assert match_labels(["wave"], {0: "wave", 1: "w_ave"}).targets == {"wave": 0}, "the very name is meant"


def test_what_is_unknown_is_listed_with_most_clips_first_and_left_out() -> None:
    labels = ["b", "c", "archery", "c", "b", "c", "?"]
    found = match_labels(labels, {0: "archery", 1: "!"})
    assert list(found.unknown.items()) == [("c", 3), ("b", 2), ("?", 1)]
    assert "3 labels of 6 clips" in found.notice and found.notice.endswith("'c' (3), 'b' (2), '?' (1).")
    source = Found("x", "/x", tuple((f"{k}.mp4", label) for k, label in enumerate([*labels, "Archery"])))
    found = match_labels([label for _, label in source.clips], {4: "archery"})
    clips = labelled(source, found)
    assert clips == [LabelledClip(0, "/x/2.mp4", "archery", 4), LabelledClip(1, "/x/7.mp4", "Archery", 4)]
    assert labelled(source, found, 1) == clips[:1]
    assert match_labels(["archery"], {0: "archery"}).notice == ""


def test_where_none_is_known_both_sides_are_shown() -> None:
    with pytest.raises(UserError, match=r"they are 'a', 'b', and it knows 'abseiling', 'air drumming', "):
        match_labels(["a", "b"], KINETICS_400)
