"""What programs read of this project, as text files in `tests/snapshots`: options, columns, keys, and a report's skeleton.

Whoever renames or drops one of these breaks somebody's script. Where the change is meant, one command writes the files anew,
and `git diff` shows what has changed:

    RENEW_SNAPSHOTS=1 python -m pytest tests/test_snapshots.py
"""

import csv
import difflib
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache, partial
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pytest

from engine import Job
from engine.tasks import Classification, Frames, Prediction, ReadTimings
from tests.small import save_small
from tests.vivit.benchmark.children import MACHINE, result, row
from tests.vivit.benchmark.stepping import FOUND, TWO, drive
from tests.vivit.evaluate.kept import kept
from ui import charts, runs
from ui.chosen import Settings
from vivit.__main__ import main
from vivit.benchmark import report as sweep_report
from vivit.benchmark import results, side_by_side
from vivit.benchmark.measurement import Cell
from vivit.benchmark.results import Result
from vivit.evaluate import kept as evaluations
from vivit.evaluate import report as evaluation_report
from vivit.evaluate.agreement import agree
from vivit.evaluate.calibration import calibrate
from vivit.evaluate.records import LabelledClip
from vivit.evaluate.sources import Found
from vivit.evaluate.summary import Tally
from vivit.explain.counterfactuals import Answer, Counterfactuals, orders
from vivit.explain.deletion import SHARES, Deletion
from vivit.explain.report import report as explain_report
from vivit.hub.checkpoints import ASSETS
from vivit.teach import command as teach_command
from vivit.teach.report import LeftOut, Report
from vivit.timeline import report as timeline_report
from vivit.timeline.segments import Answered, Segment

FOLDER = Path(__file__).parent / "snapshots"
RENEW = "RENEW_SNAPSHOTS"
COMMAND = f"{RENEW}=1 python -m pytest tests/test_snapshots.py"

LABELS = {0: "walking", 1: "running"}
EAGER, SDPA = Cell("m", "eager"), Cell("m", "sdpa")
# Objects whose keys are names of something, and not fields.
NAMED = re.compile(
    r"(\bversions|\bflops_per_second|\bweights_kept_in|\bevaluations\[\]\.labels|\bsource\.left_out|^classes)\.[^.]+"
)


# --help

ARGPARSES = ("positional arguments:", "options:", "-h, --help")  # it words them as it likes


def help_of(*command: str) -> str:
    """Usage, description, and every argument above its sentence, without what each version of Python words differently."""
    printed = io.StringIO()
    plain = {"COLUMNS": "10000", "PYTHON_COLORS": "0"}  # so wide that nothing is wrapped
    with patch.dict(os.environ, plain), redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    lines = []
    for line in filter(None, map(str.rstrip, printed.getvalue().splitlines())):
        # An argument stands 2 letters in, a command 4, and a sentence behind it or in the column of all sentences.
        name, _, sentence = line.strip().partition("  ")
        if name in ARGPARSES:
            continue
        depth = len(line) - len(line.lstrip())
        lines.append(" " * (0 if depth == 0 else 4 if depth <= 4 else 8) + name)
        if sentence:
            lines.append(" " * 8 + sentence.strip())
    return "\n".join(lines) + "\n"


def commands() -> list[str]:
    """The commands that the program names in its own help."""
    (found,) = re.findall(r"^    \{(.*)\}$", help_of(), re.MULTILINE)
    return str(found).split(",")


# Columns and keys


def columns(text: str) -> str:
    """The header of a CSV, a column a line."""
    return "\n".join(next(csv.reader(io.StringIO(text, newline="")))) + "\n"


def keys(document: Any) -> str:
    """Every key in its order, each with those above it: 'top[].label'. Args: document: JSON text, or what JSON can hold."""
    text = document if isinstance(document, str) else json.dumps(document, allow_nan=False)
    return "\n".join(dict.fromkeys(NAMED.sub(r"\1.*", path) for path in _paths(json.loads(text)))) + "\n"


def _paths(value: Any, above: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            path = f"{above}.{key}".lstrip(".")
            yield path
            yield from _paths(inner, path)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, above if above.endswith("[]") else f"{above}[]")


# The skeleton of a page


@dataclass
class Element:
    """An element. Args: name: its tag and attributes; text: what stands in a heading, '' in others; inner: what it holds."""

    name: str
    text: str = ""
    inner: list["Element"] = field(default_factory=list)

    def lines(self, depth: int = 0) -> Iterator[str]:
        """The element and, indented, what is in it; elements that are alike and follow each other are told once."""
        yield "  " * depth + f"{self.name} {self.text}".rstrip()
        before: list[str] = []
        for element in self.inner:
            if (lines := [*element.lines(depth + 1)]) != before:
                yield from lines
            before = lines


class Skeleton(HTMLParser):
    """The elements of a page; of their texts, those of headings alone; a chart is one element, since plotly makes it."""

    EMPTY, HEADINGS = ("meta", "link", "br", "img"), ("title", "h1", "h2", "h3", "th")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open = [Element("page")]
        self.feed(page)
        self.close()
        assert len(self.open) == 1, f"{self.open[-1].name} is not closed"

    def handle_decl(self, decl: str) -> None:
        self.open[-1].inner.append(Element(f"!{decl}"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        if "plotly-graph-div" in (about.get("class") or "").split():
            about = {"class": "plotly-graph-div"}  # its id is another each time
        element = Element(" ".join([tag, *(f"{name}={value}" for name, value in about.items())]))
        self.open[-1].inner.append(element)
        if tag not in self.EMPTY:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        element = self.open.pop()
        assert element.name.split()[0] == tag, f"</{tag}> in {element.name}"
        if any(inner.name == "div class=plotly-graph-div" for inner in element.inner):
            element.name, element.inner = "chart", []

    def handle_data(self, data: str) -> None:
        if self.open[-1].name.split()[0] in self.HEADINGS:
            self.open[-1].text += data


def skeleton(page: str) -> str:
    """A page's tags, ids and headings, without its figures."""
    return "\n".join(line for element in Skeleton(page).open[0].inner for line in element.lines()) + "\n"


# What they are made of


def sweep(*models: str) -> Result:
    """A sweep with every part that a report can have. Args: models: names of checkpoints."""
    rows = []
    for factor, model in enumerate(models, 1):
        for cell, ms in ((EAGER, 200.0), (SDPA, 100.0)):
            for precision, size in (("float32", 1), ("float16", 1), ("float32", 4)):
                cell = replace(cell, checkpoint=model, precision=precision, batch_size=size)
                made = row(cell, *[(factor * size * ms,) * 4] * 6, logits=(1.0, 2.0), others=0.1)
                assert made.memory
                rows.append(replace(made, memory=replace(made.memory, weights_kept_in={"float32": 10**8})))
    return result(*rows, created="2026-03-04T12:31:05+00:00", id="a")


@cache
def evaluation() -> evaluations.Kept:
    """Two cells on five clips, one of which failed."""
    return kept({"eager float32": [0, 1, 1, 2, None], "sdpa float32": [0, 1, 2, 2, None]}, [0, 1, 2, 2, 1])


def evaluation_summary() -> str:
    ours, theirs = (one.records for one in evaluation().evaluations)
    first = evaluation().evaluations[0]
    tally = Tally({int(index): label for index, label in first.id2label.items()})
    tally.add(ours)
    source = replace(first.source, left_out={"yodelling": 2})
    pace, against = evaluation_report.Pace(5, 10.0, 1.0), {"other": agree(ours, theirs)}
    return evaluation_report.summary_line(first.asked, source, tally.summary(), calibrate(ours), pace, against)


def looked_into() -> dict[str, Any]:
    whole = Answer("walking", 0.75, 0.75, True)
    changed = {name: (whole,) * len(shown) for name, shown in orders(4).items()}
    return explain_report(
        np.full((2, 2, 2), 0.125, np.float32),
        clip="a.mp4",
        model="m",
        attention="sdpa",
        precision="float32",
        device="cpu",
        method="attention",
        layer=0,
        head=None,
        predictions=[{"label": "walking", "score": 0.75}],
        familiar=True,
        indices=range(4),
        seconds=[0.0, 0.1, 0.2, 0.3],
        crop_box=(0.0, 0.0, 32.0, 32.0),
        tubelet_size=(2, 16, 16),
        deletion=Deletion(0.75, (0.5,) * len(SHARES), ((0.75,) * len(SHARES),) * 19),
        counterfactuals=Counterfactuals(whole, changed),
        raw=True,
    )


def taught() -> dict[str, Any]:
    labelled = [LabelledClip(k, f"{k}.mp4", LABELS[k % 2], k % 2) for k in range(4)]
    left_out = [LeftOut(k, clip.label, "walking", 0.9, 0.1) for k, clip in enumerate(labelled)]
    failed = [record for record in evaluation().evaluations[0].records if record.error]
    found = Found("clips", "/clips", tuple((clip.path, clip.label) for clip in labelled))
    report = Report({"walking": 2, "running": 2}, tuple(left_out), 1.0, same=((0, 2),), recordings=((1, 3),))
    options = SimpleNamespace(out="out", model="m")
    clips = teach_command._Clips(labelled, [], failed)
    return teach_command._as_json(cast(Any, options), found, clips, report)


def compared() -> dict[str, Any]:
    logits = (1.0, 2.0)
    comparison = side_by_side.SideBySide(TWO, seconds=1e9, seed=1)
    drive(comparison, found=[replace(FOUND, logits=logits)] * 2)
    return side_by_side.as_json(comparison, comparison.rows()[1], model="m", clip="a.mp4")


def classified() -> str:
    """A classification of one clip by a tiny model, as the command prints it."""
    printed = io.StringIO()
    with TemporaryDirectory() as folder, redirect_stdout(printed):
        save_small(Path(folder), shortest_edge=40)
        assert main(["classify", str(ASSETS / "clips" / "clapping.mp4"), "--model", folder, "--json"]) == 0
    return printed.getvalue()


@cache
def taken_along() -> dict[str, str]:
    """What the page 'Classify' offers to download of its runs: name of a file → what is in it."""
    shape, box = (4, 32, 32, 3), (0.0, 0.0, 32.0, 32.0)
    clip = Frames(
        shape, (0, 1, 2, 3), (0.0, 0.1, 0.2, 0.3), 4, 0.4, 10.0, 32, 32, "h264", "mp4", True, (), (box,),
        ReadTimings(1.0, 1.0, 1.0),
    )  # fmt: skip
    answer = Classification(
        (Prediction("walking", 0.9),),
        True,
        "walking",
        1,
        10.0,
        (10.0, 10.0),
        True,
        12.0,
        0.0,
        2**20,
        2**20,
        1.0,
        1.0,
        "cpu",
    )
    settings = Settings("vivit-mannequin", "sdpa", "float32", "uniform", 1, "checkpoint", 5)
    here = SimpleNamespace(runs=[])
    files: dict[str, str] = {}

    def download(label: str, make: Callable[[], str], name: str, *_: Any, **__: Any) -> None:
        files[name] = make()

    with (
        patch.object(runs, "visit", lambda: here),
        patch.object(runs, "get_machine", lambda: MACHINE),
        patch.object(charts, "show_cells"),
        patch("streamlit.download_button", download),
    ):
        jobs = SimpleNamespace(id=1, result=answer), SimpleNamespace(id=2, result=clip)
        runs.record(cast(Job[Classification], jobs[0]), "a.mp4", settings, cast(Job[Frames], jobs[1]))
        runs.show_runs(None)
    return files


def segment() -> timeline_report.Row:
    return timeline_report.segment_row(Segment(0.0, 1.0, 0, 0.9), LABELS)


def window() -> timeline_report.Row:
    return timeline_report.window_row(Answered(0.0, 1.0, np.array([0.9, 0.1], np.float32), True), LABELS)


COMMANDS = ("classify", "explain", "timeline", "evaluate", "teach", "convert", "bench", "compare")
SNAPSHOTS: dict[str, Callable[[], str]] = {
    "help/vivit": help_of,
    **{f"help/{name}": partial(help_of, name) for name in COMMANDS},
    "csv/bench": lambda: columns(sweep_report.as_csv(sweep("m"))),
    "csv/bench-of-models": lambda: columns(sweep_report.as_csv(sweep("m", "n"))),
    "csv/evaluation": lambda: columns(evaluations.as_csv(evaluation())),
    "csv/timeline-segments": lambda: columns(timeline_report.as_csv([segment()])),
    "csv/timeline-windows": lambda: columns(timeline_report.as_csv([window()])),
    "csv/vivit-runs": lambda: columns(taken_along()["vivit-runs.csv"]),
    # What commands print
    "json/classify": lambda: keys(classified()),
    "json/explain": lambda: keys(looked_into()),
    "json/timeline-segments": lambda: keys(timeline_report.as_json(segment())),
    "json/timeline-windows": lambda: keys(timeline_report.as_json(window())),
    "json/evaluate-clip": lambda: keys(evaluation_report.clip_line(evaluation().evaluations[0].records[0])),
    "json/evaluate-summary": lambda: keys(evaluation_summary()),
    "json/teach": lambda: keys(taught()),
    "json/bench": lambda: keys(sweep_report.as_json(sweep("m"), sweep("m").rows[1])),
    "json/compare": lambda: keys(compared()),
    # Files
    "json/sweep": lambda: keys(results.to_dict(sweep("m"))),
    "json/evaluation": lambda: keys(evaluations.as_json(evaluation())),
    "json/vivit-runs": lambda: keys(taken_along()["vivit-runs.json"]),
    "html/bench": lambda: skeleton(sweep_report.as_html(sweep("m"))),
    "html/bench-of-models": lambda: skeleton(sweep_report.as_html(sweep("m", "n"))),
}


def file_of(name: str) -> Path:
    return FOLDER / f"{name}.txt"


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_nothing_that_others_read_has_changed(name: str) -> None:
    """See at the top how a snapshot is renewed where a change is meant."""
    file, made = file_of(name), SNAPSHOTS[name]()
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    if made == before:
        return
    if os.environ.get(RENEW):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(made, encoding="utf-8", newline="\n")
        pytest.skip(f"{file.relative_to(FOLDER.parents[1])} is renewed")
    changed = "\n".join(difflib.unified_diff(before.splitlines(), made.splitlines(), "kept", "made now", lineterm=""))
    pytest.fail(f"{name} is no longer what it was. If that is meant: {COMMAND}\n{changed}", pytrace=False)


def test_every_command_and_no_other_has_a_snapshot() -> None:
    assert commands() == [*COMMANDS]
    assert {*FOLDER.rglob("*.*")} == {file_of(name) for name in SNAPSHOTS}


def test_keys_are_told_with_those_above_them_once_and_in_their_order() -> None:
    value = {"b": [{"x": 1}, {"y": None, "x": 2}], "a": {"versions": {"torch": "2"}, "rows": [[{"z": 1}]]}, "c": {}}
    assert keys(value).split() == [
        *("b", "b[].x", "b[].y", "a", "a.versions", "a.versions.*", "a.rows", "a.rows[].z", "c"),
    ]


def test_a_skeleton_has_tags_ids_and_headings_and_no_figures() -> None:
    chart = "<div><script>var x = '</b>';</script><div id='{}' class='plotly-graph-div'></div></div>"
    page = "<!doctype html><body><h1>a &lt; b</h1><p id='x'>{}</p>" + chart + "<tr><td>{}</td><td>2</td></tr></body>"
    told = "!doctype html\nbody\n  h1 a < b\n  p id=x\n  chart\n  tr\n    td\n"
    assert skeleton(page.format(1, 2, 3)) == skeleton(page.format(4, 5, 6)) == told
    assert skeleton(page.replace("id='x'", "id='y'")) != told != skeleton(page.replace("h1", "h2"))
    with pytest.raises(AssertionError, match="in b"):
        skeleton("<p><b>1</p></b>")
