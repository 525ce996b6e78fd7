"""What an evaluation leaves in its folder after a kill, a full disk or another process."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.vivit.evaluate.records import drawn, evaluation
from vivit.errors import UserError
from vivit.evaluate.journal import ASKED, CLIPS, Journal, load_evaluation

RECORDS = drawn(9)


def kept(folder: Path) -> list[int]:
    return [record.index for record in load_evaluation(folder).records]


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    asked = evaluation(9)
    with Journal(tmp_path / "deep" / "er", asked) as journal:
        journal.add(RECORDS[:4])
        assert load_evaluation(journal.folder) == replace(asked, records=tuple(RECORDS[:4])), "while it is written too"
        journal.add(RECORDS[4:])
    found = load_evaluation(tmp_path / "deep" / "er")
    assert found == replace(asked, records=tuple(RECORDS)) and found.id2label[5] == "résumé reading"
    lines = (tmp_path / "deep" / "er" / CLIPS).read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(9))


def test_wherever_a_kill_cuts_it_goes_on_with_every_clip_once(tmp_path: Path) -> None:
    with Journal(tmp_path, evaluation(9)) as journal:
        journal.add(RECORDS[:3])
    whole = (tmp_path / CLIPS).read_bytes()
    ends = [k + 1 for k, byte in enumerate(whole) if byte == ord("\n")]
    for cut in (0, 1, ends[0] - 1, ends[0], ends[0] + 1, ends[1], ends[2] - 1, ends[2]):
        (tmp_path / CLIPS).write_bytes(whole[:cut])
        done = sum(end <= cut for end in ends)
        assert kept(tmp_path) == list(range(done)), "reading changes nothing"
        assert (tmp_path / CLIPS).stat().st_size == cut
        with Journal(tmp_path, evaluation(9)) as journal:
            assert list(journal.records) == list(range(done))
            journal.add(RECORDS)
            journal.add(RECORDS[2:5])
        assert kept(tmp_path) == list(range(9)) and (tmp_path / CLIPS).read_bytes().count(b"\n") == 9


def test_a_line_of_zeros_at_the_end_is_cut_off_and_a_damaged_one_before_it_is_told(tmp_path: Path) -> None:
    with Journal(tmp_path, evaluation(9)) as journal:
        journal.add(RECORDS[:2])
    whole = (tmp_path / CLIPS).read_bytes()
    (tmp_path / CLIPS).write_bytes(whole + bytes(40) + b"\n")
    with Journal(tmp_path, evaluation(9)) as journal:
        assert list(journal.records) == [0, 1]
    (tmp_path / CLIPS).write_bytes(whole + whole[: whole.index(b"\n") + 1])
    assert kept(tmp_path) == [0, 1], "a clip that is there twice counts once"
    for bad in (b"{}\n", b'{"index": 99}\n', whole.splitlines()[0].replace(b'"index": 0', b'"index": 9') + b"\n"):
        (tmp_path / CLIPS).write_bytes(bad + whole)
        with pytest.raises(UserError, match=r"cannot be read \(line 1 of clips.jsonl"):
            Journal(tmp_path, evaluation(9))
        assert (tmp_path / CLIPS).read_bytes() == bad + whole


def test_another_evaluation_is_refused_with_what_differs(tmp_path: Path) -> None:
    with Journal(tmp_path, evaluation(9, precision="float16")):
        pass  # nothing has been found by it, so it is in nobody's way
    with Journal(tmp_path, evaluation(9)) as journal:
        journal.add(RECORDS[:1])
    other = evaluation(9, precision="float16", batch_size=4)
    with pytest.raises(UserError, match="precision 'float32' where 'float16' is asked for, batch size 1 where 4"):
        Journal(tmp_path, other)
    with pytest.raises(UserError, match=r"other clips \(9 of 'clips' where 8 of 'clips' are"):
        Journal(tmp_path, evaluation(8))
    with pytest.raises(UserError, match="other classes"):
        Journal(tmp_path, replace(evaluation(9), labels={"0": "sitting"}))
    with Journal(tmp_path, replace(evaluation(9), created="later", revision="newer")) as journal:
        assert journal.evaluation.created != "later" and list(journal.records) == [0]


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', '{"format": 1, "asked": {}}'])
def test_what_is_no_evaluation_is_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="There is no evaluation in"):
        load_evaluation(tmp_path)
    (tmp_path / CLIPS).write_text("{}\n")
    with pytest.raises(UserError, match=r"holds clips.jsonl without"):
        Journal(tmp_path, evaluation(9))
    (tmp_path / ASKED).write_text(text)
    for read in (load_evaluation, lambda folder: Journal(folder, evaluation(9))):
        with pytest.raises(UserError, match="cannot be read"):
            read(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="no folder that an evaluation can be kept in"):
        Journal(tmp_path / "file", evaluation(9))


def test_a_second_process_is_kept_out_and_comes_in_after_the_first(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom tests.vivit.evaluate.records import drawn, evaluation\n"
        "from vivit.evaluate.journal import Journal\njournal = Journal(sys.argv[1], evaluation(9))\n"
        "journal.add(drawn(9)[:1])\nprint('in', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "in\n"
        with pytest.raises(UserError, match="Another process is writing"):
            Journal(tmp_path, evaluation(9))
        other.kill()
    with Journal(tmp_path, evaluation(9)) as journal:
        assert list(journal.records) == [0]


@contextmanager
def room(size: int) -> Iterator[None]:
    """Files of this process may grow to `size` bytes, as on a disk that is then full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_on_a_full_disk_what_is_there_stays_whole(tmp_path: Path) -> None:
    with Journal(tmp_path, evaluation(9)) as journal:
        journal.add(RECORDS[:3])
        size = os.path.getsize(tmp_path / CLIPS)
        # Room for one record and a part of the next.
        with room(size + size // 2), pytest.raises(UserError, match="The 3 clips before are whole: make room"):
            journal.add(RECORDS[3:6])
        assert os.path.getsize(tmp_path / CLIPS) == size and kept(tmp_path) == [0, 1, 2]
        journal.add(RECORDS[3:4])
    with Journal(tmp_path, evaluation(9)) as journal:
        journal.add(RECORDS)
    assert kept(tmp_path) == list(range(9))
