"""How well timelines find what films show: the measures by hand, and what the embedded checkpoint finds in joined clips."""

import statistics
from pathlib import Path

import pytest

from mannequin.actions import LABELS
from mannequin.film import FILMS, join_clips
from mannequin.timeline import boundary_errors, segmental_f1, windows_of
from tests.shorter import some
from vivit.checkpoint import open_checkpoint
from vivit.model import VivitForVideoClassification
from vivit.timeline import SMOOTHING, Grid, Segment, find_segments
from vivit.timeline.whole import WindowClassifier

TRUTH = [Segment(0, 10, 0, None), Segment(10, 16, 1, None), Segment(16, 30, 0, None)]


@pytest.mark.parametrize(
    ("found", "f1"),
    [
        ([(0, 10, 0), (10, 16, 1), (16, 30, 0)], 1.0),
        ([(0, 11, 0), (11, 15, 1), (15, 30, 0)], 1.0),  # all above a half
        ([(0, 10, 0), (10, 16, 2), (16, 30, 0)], 2 / 3),  # a wrong label: 2 of 3 and of 3
        ([(0, 30, 0)], 0.0),  # 14 of 30 s: below a half
        ([(0, 10, 0), (10, 30, 0)], 1.0 * 2 * 2 / 5),  # 14 of 20 s are; nobody said label 1
        ([(0, 10, 0), (10, 16, None), (16, 30, 0)], 2 * 2 / 5),  # unknown counts as none
        ([(0, 5, 0), (5, 10, 0), (10, 16, 1), (16, 30, 0)], 2 * 3 / 7),  # half of one counts, once
        ([], 0.0),
    ],
)
def test_f1_by_hand(found: list[tuple[float, float, int | None]], f1: float) -> None:
    assert segmental_f1([Segment(*stretch, None) for stretch in found], TRUTH) == pytest.approx(f1)


def test_f1_of_nothing_at_all_is_perfect_and_a_stricter_overlap_lowers_it() -> None:
    assert segmental_f1([], []) == 1.0
    found = [Segment(0, 8, 0, None), Segment(8, 16, 1, None), Segment(16, 30, 0, None)]  # overlaps 0.8, 0.75 and 1
    assert [segmental_f1(found, TRUTH, at) for at in (0.5, 0.78, 0.9)] == pytest.approx([1, 2 / 3, 1 / 3])


def test_boundary_errors_by_hand() -> None:
    found = [Segment(0, 9.5, 0, None), Segment(9.5, 12, 1, None), Segment(12, 17, 2, None), Segment(17, 30, 0, None)]
    assert boundary_errors(found, TRUTH) == pytest.approx([0.5, 1.0])
    assert boundary_errors(found[:1], TRUTH) == [float("inf")] * 2
    assert boundary_errors(found, TRUTH[:1]) == []


@pytest.mark.parametrize("first", some([0, 2], 0))
@pytest.mark.parametrize("smoothing", some(SMOOTHING, "overlap"))
def test_what_joined_clips_show_is_found(first: int, smoothing: str, tmp_path: Path) -> None:
    """In films of every fifth action: not chosen by what is found in them."""
    checkpoint = open_checkpoint("vivit-mannequin")
    model = checkpoint.load(VivitForVideoClassification)
    classifier = WindowClassifier(model, checkpoint.processor, checkpoint.familiarity())
    joined = join_clips(LABELS[first::5], tmp_path / "film.mp4")
    index = {name: k for k, name in checkpoint.labels.items()}
    truth = [Segment(start, end, index[label], None) for start, end, label in joined]
    found = find_segments(windows_of(tmp_path / "film.mp4", classifier, Grid(6.5, 0.5, 32)), smoothing)
    assert segmental_f1(found, truth) >= 0.9
    assert statistics.median(boundary_errors(found, truth)) <= 6.5 / 2


def test_the_bundled_film_is_there() -> None:
    assert (FILMS / "six-actions.mp4").stat().st_size < 1_000_000 and (FILMS / "films.json").is_file()
