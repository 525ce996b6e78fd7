"""vivit.kept_files: files are written whole or not at all, and whatever cannot be read hides nothing else."""

from pathlib import Path

import pytest

from tests.vivit.benchmark.test_report import WHOLE
from tests.vivit.evaluate.kept import kept
from vivit.benchmark import results
from vivit.evaluate import kept as evaluations
from vivit.kept_files import keep_text

NESTED = "[" * 10**6


def test_a_file_that_cannot_be_written_leaves_nothing_but_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    keep_text(file, "old")
    keep_text(file, "new")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["new"]
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(IsADirectoryError):
        keep_text(tmp_path / "folder.json", "text")
    assert {one.name for one in tmp_path.iterdir()} == {"kept.json", "folder.json"}


def test_a_file_nested_without_end_hides_no_other(tmp_path: Path) -> None:
    results.save(WHOLE, tmp_path)
    evaluations.save(one := kept({"sdpa float32": [0]}, [0], id="one"), tmp_path)
    for suffix in (results.SUFFIX, evaluations.SUFFIX):
        (tmp_path / f"nested{suffix}").write_text(NESTED)
    assert [found.id for found in results.list_results(tmp_path)] == [WHOLE.id]
    assert [found.id for found in evaluations.list_kept(tmp_path)] == [one.id]
