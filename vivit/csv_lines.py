"""Tables as CSV that every reader gives back as they were. No torch is used."""

import csv
import io
from collections.abc import Iterable
from typing import Any


def csv_lines(rows: Iterable[Iterable[Any]]) -> str:
    r"""Rows of values as CSV, each with '\n' at its end; nothing for None.

    A value with a line's end in it stands in quotes, and one with a carriage return alone too: before Python 3.13 a writer
    whose own lines end in '\n' leaves a carriage return without quotes, and readers take it for a line's end.
    """
    lines = []
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow(row)
        lines.append(line.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines)
