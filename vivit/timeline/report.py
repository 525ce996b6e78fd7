"""What happens when, as lines: text for people, JSON and CSV for programs and for downloads. No torch is used."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vivit.csv_lines import csv_lines
from vivit.film import clock
from vivit.timeline.segments import UNKNOWN, Answered, Segment
from vivit.timeline.windows import Grid
from vivit.timeline.work import Waits

SEGMENT = ("start", "end", "label", "score")  # what is told of each
WINDOW = (*SEGMENT, "familiar")

Row = dict[str, Any]


def segment_row(segment: Segment, labels: Mapping[int, str]) -> Row:
    """`SEGMENT` of a segment: seconds to the millisecond; the score is None where the label is 'unknown'.

    Args:
        labels: class index → name.
    """
    return _row(SEGMENT, segment.start, segment.end, segment.name(labels), segment.score)


def window_row(window: Answered, labels: Mapping[int, str]) -> Row:
    """`WINDOW` of a window: its likeliest class, whether or not it is like the training clips. Args: as for `segment_row`."""
    score = float(window.scores[window.label])
    return _row(WINDOW, window.start, window.end, labels[window.label], score, window.familiar)


def _row(columns: tuple[str, ...], start: float, end: float, *others: Any) -> Row:
    return dict(zip(columns, (round(start, 3), round(end, 3), *others), strict=True))


def as_json(row: Row) -> str:
    """A row as one JSON object on one line."""
    return json.dumps(row, allow_nan=False)


def as_csv(rows: Sequence[Row], header: bool = True) -> str:
    """Rows as lines of CSV, each with its end: nothing for None, 'true' and 'false' as JSON has them.

    Args:
        rows: all of one kind, one or more.
        header: whether a line of the columns' names comes first.
    """
    lines = [[json.dumps(v) if isinstance(v, bool) else v for v in row.values()] for row in rows]
    return csv_lines([rows[0], *lines] if header else lines)


def as_text(row: Row) -> str:
    """A row for people: '0:00.0 – 0:06.2  clapping  97.1 %'."""
    words = [f"{clock(row['start'])} – {clock(row['end'])}", row["label"]]
    if row["score"] is not None:
        words.append(f"{100 * row['score']:.1f} %")
    if row.get("familiar") is False:
        words.append(f"{UNKNOWN}: it is unlike the training clips")
    return "  ".join(words)


def rate_text(seconds: float, waits: Waits) -> str:
    """How fast it was. Args: seconds: of film that were answered for; waits: of the work."""
    return f"{seconds / waits.total if waits.total else 0.0:.3g} times real time"


def summary(seconds: float, windows: int, grid: Grid, waits: Waits) -> str:
    """How fast it was, how much there was to do, and who waited for whom.

    Args:
        seconds: of film that were answered for.
        windows: how many there were.
        grid: how they lie.
        waits: of the work.
    """
    several = "window" if windows == 1 else "windows"
    return (
        f"{rate_text(seconds, waits)}, {windows} {several} of {grid.window_seconds:g} s every {grid.stride_seconds:g} s; "
        f"{waits_text(waits)}"
    )


def waits_text(waits: Waits) -> str:
    """Who waited for whom."""
    return (
        f"the model waited for pictures {100 * waits.model_share:.0f} % of the time, the decoder for the model "
        f"{100 * waits.decoder_share:.0f} %"
    )


def shortened(windows: Sequence[Answered], grid: Grid) -> str:
    """What to say of windows that are shorter than the others; '' where there are none. Args: windows: all that there were."""
    short = sum(window.end - window.start < grid.window_seconds - grid.tick_seconds + 1e-6 for window in windows)
    if not short:
        return ""
    several = "window is" if len(windows) == 1 else "windows is" if short == 1 else "windows are"
    why = "the film or its shot is" if short == 1 else "the shots that they lie in are"
    length = f"{grid.window_seconds:g} s"
    return f"{short} of {len(windows)} {several} shorter than {length}, since {why}; frames were repeated evenly."
