"""Evaluations of several cells: kept and read again, as a table, and what they come to in a sentence."""

import csv
import io
import os
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.vivit.evaluate.kept import kept
from vivit.errors import UserError
from vivit.evaluate.headline import statement
from vivit.evaluate.kept import SUFFIX, as_csv, list_kept, load, save

TARGETS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
TWO = kept({"sdpa float16": [0, 1, 2, 0, 1, 2, 0, 1, 0, None], "eager float32": [*TARGETS[:9], None]}, TARGETS)


def test_what_is_kept_is_read_as_it_was_and_what_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    older = replace(kept({"sdpa float32": [0]}, [0, 1]), created="2026-11-29T12:00:00")
    for one in (older, TWO):
        assert load(save(one, tmp_path)) == one
    copy = shutil.copy(tmp_path / f"{TWO.id}{SUFFIX}", tmp_path / "else" / f"copy{SUFFIX}")
    assert load(copy) == replace(TWO, id="copy")
    (tmp_path / f"broken{SUFFIX}").write_text('{"format": 1, "evaluations"')
    (tmp_path / f"later{SUFFIX}").write_text('{"format": 2}')
    (tmp_path / f"empty{SUFFIX}").write_text('{"format": 1, "evaluations": [], "errors": []}')
    assert list_kept(tmp_path) == [TWO, older] and list_kept(tmp_path / "none") == []
    for name in ("broken", "later", "empty", "missing"):
        with pytest.raises(UserError, match=f"{name}.* is no evaluation that can be read"):
            load(tmp_path / f"{name}{SUFFIX}")


def test_of_what_could_not_be_written_nothing_is_left(tmp_path: Path) -> None:
    save(TWO, tmp_path)
    full = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, full[1]))
    try:
        with pytest.raises(OSError):
            save(replace(TWO, created="2026-12-01T12:00:00"), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, full)
        signal.signal(signal.SIGXFSZ, ignored)
    assert os.listdir(tmp_path) == [f"{TWO.id}{SUFFIX}"] and list_kept(tmp_path) == [TWO]


def test_it_knows_how_far_it_came_and_what_cells_are_compared_with() -> None:
    assert (TWO.names, TWO.reference, TWO.clips, TWO.done, TWO.whole) == (
        ["sdpa float16", "eager float32"],
        1,
        10,
        10,
        True,
    )
    early = kept({"sdpa float32": [0, 1], "sdpa float16": [0]}, TARGETS)
    assert (early.reference, early.done, early.whole) == (0, 2, False)
    assert TWO.times.rest == 1.0


def test_a_line_a_clip_and_cell() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(TWO))))
    assert len(rows) == 20 and [row["cell"] for row in rows[::10]] == TWO.names
    assert (
        rows[8] | {"path": "sitting still/8.mp4", "class": "sitting still", "answer": "walking", "rank": "3"} == rows[8]
    )
    assert (rows[9]["answer"], rows[9]["rank"], rows[9]["error"]) == ("", "", "It is no video.")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"eager float32": [0, 1, 2]}, "eager float32 is right on 100.0 % of 3 clips (43.9 to 100.0)."),
        (
            {"sdpa float16": [0, 1, 2], "eager float32": [0, 1, 2]},
            "no answer changes from eager float32: at most 56.1 % would (95 %).",
        ),
        ({"sdpa float16": [0, 1, 1], "eager float32": [0, 1, 2]}, "and no difference in accuracy can be told."),
        ({"sdpa float16": [0, 2, 1], "eager float32": [0, 0, 2]}, "2 answers of 3 change from eager float32, 66.7 % ("),
        ({"sdpa float16": [0, 2, 2], "eager float32": [0, 0, 2]}, "and each clip is right or wrong in both."),
        ({"sdpa float16": [None, None, None]}, "sdpa float16: no clip was classified."),
        ({"sdpa float16": [0, None, None], "eager float32": []}, "no clip was classified by eager float32 too."),
        (
            {"sdpa float16": [0, None, None], "eager float32": [0, 1, 2]},
            "at most 79.3 % would (95 %); 2 clips more only one of them could answer.",
        ),
    ],
)
def test_a_sentence_claims_no_more_than_the_clips_tell(cells: dict[str, Any], said: str) -> None:
    assert said in statement(kept(cells, [0, 1, 2]))


def test_the_better_cell_is_named_where_that_can_be_told() -> None:
    targets = [0] * 20
    worse = kept({"sdpa float16": [1] * 8 + [0] * 12, "eager float32": targets}, targets)
    assert statement(worse).endswith(", and eager float32 is right more often.")
    better = kept({"sdpa float16": targets, "eager float32": [1] * 8 + [0] * 12}, targets)
    assert statement(better).endswith(", and sdpa float16 is right more often.")


def test_no_interval_is_told_of_clips_that_were_chosen() -> None:
    chosen = [replace(one, source=replace(one.source, name="bundled")) for one in TWO.evaluations]
    said = statement(replace(TWO, evaluations=tuple(chosen)))
    assert said.startswith("sdpa float16 is right on 8 of 9 chosen clips; 1 answer of 9 changes from eager float32")
