"""Labels of any spelling in downloads of timelines: whoever reads them as CSV or JSON gets them as they are."""

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from tests.properties import PROPERTY, names
from vivit.timeline.report import SEGMENT, as_csv, as_json, segment_row
from vivit.timeline.segments import Segment

LABELS = names(",;\"'\r\n\t=\\")


@PROPERTY
@given(labels=st.lists(LABELS, min_size=1, max_size=5))
def test_labels_come_back_from_csv_and_json(labels: list[str]) -> None:
    names = dict(enumerate(labels))
    rows = [segment_row(Segment(2.0 * k, 2.0 * k + 1.5, k, 0.25), names) for k in names]
    header, *lines = csv.reader(io.StringIO(as_csv(rows), newline=""))
    assert tuple(header) == SEGMENT
    assert lines == [[str(2.0 * k), str(2.0 * k + 1.5), label, "0.25"] for k, label in names.items()]
    for row in rows:
        line = as_json(row)
        assert len(line.splitlines()) == 1 and json.loads(line) == row
