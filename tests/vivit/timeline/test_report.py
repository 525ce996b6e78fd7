"""Segments and windows as lines."""

import csv
import io
import json

import numpy as np
import pytest

from vivit.timeline.report import (
    SEGMENT,
    WINDOW,
    as_csv,
    as_json,
    as_text,
    rate_text,
    segment_row,
    shortened,
    summary,
    window_row,
)
from vivit.timeline.segments import Answered, Segment
from vivit.timeline.windows import Grid
from vivit.timeline.work import Waits

LABELS = {0: "clapping", 1: 'saying "hello, there"', 2: "résumé reading"}
GRID = Grid(window_seconds=1.6, stride_seconds=0.4, num_frames=8)


def answered(start: float, end: float, familiar: bool | None, *scores: float) -> Answered:
    return Answered(start, end, np.array(scores, np.float32), familiar)


def test_rows_have_the_keys_that_are_promised_in_their_order() -> None:
    known = segment_row(Segment(0.1 + 0.2, 6.24999, 1, 0.75), LABELS)
    assert list(known) == list(SEGMENT) == ["start", "end", "label", "score"]
    assert known == {"start": 0.3, "end": 6.25, "label": LABELS[1], "score": 0.75}
    unknown = segment_row(Segment(6.25, 8, None, None), LABELS)
    assert (unknown["label"], unknown["score"]) == ("unknown", None)
    window = window_row(answered(0, 1.6, False, 0.25, 0.5, 0.25), LABELS)
    assert list(window) == list(WINDOW) == [*SEGMENT, "familiar"]
    # Its likeliest class, though it is like no training clip.
    assert window == {"start": 0, "end": 1.6, "label": LABELS[1], "score": 0.5, "familiar": False}


@pytest.mark.parametrize("familiar", [True, False, None])
def test_json_and_csv_say_the_same(familiar: bool | None) -> None:
    rows = [window_row(answered(k, k + 1.6, familiar, *np.eye(3)[k]), LABELS) for k in range(3)]
    assert [json.loads(as_json(row)) for row in rows] == rows
    assert all("\n" not in as_json(row) for row in rows)
    text = as_csv(rows[:1]) + as_csv(rows[1:], header=False)
    assert text == as_csv(rows) and text.count("\n") == 4 and "\r" not in text
    read = [*csv.DictReader(io.StringIO(text))]
    for row, cells in zip(rows, read, strict=True):
        assert cells["label"] == row["label"]
        assert [float(cells[name]) for name in ("start", "end", "score")] == [row["start"], row["end"], row["score"]]
        assert cells["familiar"] == {True: "true", False: "false", None: ""}[familiar]


def test_without_a_score_there_is_an_empty_cell_and_a_null() -> None:
    row = segment_row(Segment(1, 2, None, None), LABELS)
    assert as_csv([row]) == "start,end,label,score\n1,2,unknown,\n"
    assert as_json(row) == '{"start": 1, "end": 2, "label": "unknown", "score": null}'


def test_a_number_that_is_none_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        as_json(segment_row(Segment(0, 1, 0, float("nan")), LABELS))


def test_text_for_people() -> None:
    assert as_text(segment_row(Segment(0, 6.24, 0, 0.9712), LABELS)) == "0:00.0 – 0:06.2  clapping  97.1 %"
    assert as_text(segment_row(Segment(3599, 3661, None, None), LABELS)) == "59:59.0 – 1:01:01  unknown"
    like = window_row(answered(0, 1.6, True, 0.5, 0.2, 0.3), LABELS)
    assert as_text(like) == as_text(like | {"familiar": None}) == "0:00.0 – 0:01.6  clapping  50.0 %"
    assert as_text(like | {"familiar": False}).startswith(as_text(like)) and "unlike" in as_text(
        like | {"familiar": False}
    )


def test_the_rate_and_who_waited_for_whom() -> None:
    waits = Waits(model=0.4, decoder=8, total=10)
    assert rate_text(123, waits) == "12.3 times real time" and rate_text(0.421, waits) == "0.0421 times real time"
    said = summary(123, 146, GRID, waits)
    assert said == (
        "12.3 times real time, 146 windows of 1.6 s every 0.4 s; the model waited for pictures 4 % of the time, the decoder "
        "for the model 80 %"
    )
    assert ", 1 window of" in summary(1, 1, GRID, waits)
    assert rate_text(0, Waits()).startswith("0 times")


def test_a_film_that_is_shorter_than_a_window() -> None:
    assert shortened([answered(0, 1.4, None, 1)], GRID).startswith(
        "1 of 1 window is shorter than 1.6 s, since the film"
    )
    some = [answered(0, 1.6, None, 1), answered(1.6, 2.0, None, 1), answered(2.0, 3.0, None, 1)]
    assert shortened(some, GRID).startswith("2 of 3 windows are shorter than 1.6 s, since the shots")
    assert not shortened([answered(0, 8 * GRID.tick_seconds, None, 1)], GRID)
    assert not shortened([answered(k, k + 1.6, None, 1) for k in range(3)], GRID)
    assert not shortened([], GRID)
