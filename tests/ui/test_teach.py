"""The page 'Teach' without a browser: what can be taught, what is refused, what came of it, and where it stands then."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.lessons import Example, Taught, TaughtClass, TeachAsked
from tests.drawn import until
from tests.vivit.evaluate.kept import kept
from ui import evaluate_kept
from ui.server import get_server
from ui.taught import TAUGHT, called, public_name
from ui.teach_results import changes, verdict
from ui.teach_start import why_not
from vivit.evaluate.kept import Kept
from vivit.hub import ASSETS
from vivit.teach.report import LeftOut, Report

PAGES = Path(__file__).parents[2] / "pages"
CLIPS = Path(ASSETS) / "clips"

OWN = "/tmp/vivit-demo-lessons-x1/0123/taught-2/vivit-mannequin-taught"
FOUR = [Example(id, f"/{id}.clip", id) for id in "abcd"]
ONE, TWO = TaughtClass("1", "waving", tuple(FOUR[:2])), TaughtClass("2", "*nod*", tuple(FOUR[2:]))
LEFT_OUT = tuple(
    LeftOut(k, label, answer, score, score if label == answer else 1 - score)
    for k, (label, answer, score) in enumerate(
        [("waving", "waving", 0.9), ("waving", "*nod*", 0.95), ("*nod*", "waving", 0.6), ("*nod*", "*nod*", 0.8)]
    )
)
REPORT = Report({"waving": 2, "*nod*": 2}, LEFT_OUT, 1.0, notices=("Two clips of a class say little.",))
TAUGHT_ONE = Taught("/nowhere/taught-1", REPORT, tuple(FOUR), TeachAsked("vivit-mannequin"), 1)


def test_what_is_lacking_is_said() -> None:
    empty = replace(TWO, examples=())
    assert why_not([]) == "Two classes are needed, each with a clip."
    assert why_not([ONE]) == "A second class is needed."
    assert why_not([ONE, empty]).endswith("there is none yet of '*nod*'.")
    assert not why_not([ONE, TWO]) and not why_not([ONE, TWO, replace(empty, id="3", name="third")])


def test_the_verdict_has_its_interval_and_what_chance_would_get() -> None:
    assert verdict(REPORT) == (
        "Named right 2 of 4 clips that it had not seen (50 %, 15 to 85 %); always naming the largest class would get 50 %."
    )


def test_what_is_different_since_is_counted() -> None:
    assert not changes(TAUGHT_ONE, [ONE, TWO], {})
    more = replace(TWO, examples=(*TWO.examples, *(Example(id, f"/{id}.clip", id) for id in "xyz")))
    assert changes(TAUGHT_ONE, [ONE, more], {}) == "3 clips were added since: teach again."
    assert not changes(TAUGHT_ONE, [ONE, more], {"x": "It is broken.", "y": "It is broken.", "z": "It is broken."})
    moved = [replace(ONE, examples=FOUR[:1]), replace(TWO, examples=FOUR[1:3])]
    assert changes(TAUGHT_ONE, moved, {}) == "1 clip was removed, 1 clip was moved or renamed since: teach again."
    assert changes(TAUGHT_ONE, [replace(ONE, name="winking"), TWO], {}).startswith("2 clips were moved or renamed")


def test_where_it_lies_is_told_nobody() -> None:
    assert (public_name(OWN), called(OWN)) == ("vivit-mannequin-taught", "vivit-mannequin-taught 2")
    assert public_name("/home/me/mine") == called("/home/me/mine") == "/home/me/mine"
    assert (public_name("owner/name@c0ffee"), called("owner/name@c0ffee")) == ("owner/name@c0ffee", "owner/name")


def test_an_evaluation_of_what_was_taught_is_for_its_visitor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(folder: str) -> Kept:
        one = kept({"sdpa float32": [0, 1]}, [0, 1], id="one", dataset="owner/name")
        cells = [replace(cell, asked=replace(cell.asked, model=folder)) for cell in one.evaluations]
        return replace(one, evaluations=tuple(cells))

    monkeypatch.setattr(evaluate_kept, "offers_folders", lambda: False)
    monkeypatch.setattr(evaluate_kept, "taught_folder", lambda: OWN.replace("taught-2", "taught-3"))
    own = of(OWN)
    assert evaluate_kept.may_see(own)
    assert not evaluate_kept.may_see(of(OWN.replace("0123", "4567")))
    assert not evaluate_kept.may_see(of("/home/me/0123/taught-2/vivit-mannequin-taught"))
    assert '"model": "vivit-mannequin-taught"' in evaluate_kept.to_take_along(own)
    monkeypatch.setattr(evaluate_kept, "taught_folder", lambda: "")
    assert not evaluate_kept.may_see(own)


@pytest.fixture
def app(workers: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    app = AppTest.from_file(str(PAGES / "teach.py"), default_timeout=60)
    yield app
    get_server().lessons.drop(visitor(app))


def visitor(app: AppTest) -> str:
    return app.session_state["visit"].visitor


def said(app: AppTest) -> str:
    assert not app.exception, app.exception
    kinds = (app.subheader, app.markdown, app.error, app.warning, app.info, app.caption)
    return " ".join(element.value for kind in kinds for element in kind)


def name_class(app: AppTest, name: str) -> None:
    app.text_input(key="teach-new").set_value(name)
    app.button[[button.label for button in app.button].index("Add")].click().run()


def test_classes_are_named_renamed_and_deleted_and_what_is_refused_is_said(app: AppTest) -> None:
    until(app, lambda app: any(button.key == "teach" for button in app.button))
    assert app.button(key="teach").disabled and "Two classes are needed" in said(app)
    name_class(app, "*nod* [a](b)")
    assert r"\*nod\* \[a\]\(b\)" in said(app)
    name_class(app, "*NOD* [a](b)")
    assert len(app.error) == 1
    name_class(app, "waving")
    assert not app.error
    lessons, me = get_server().lessons, visitor(app)
    first, second = lessons.classes(me)
    app.text_input(key=f"rename-{second.id}").set_value("winking").run()
    assert [one.name for one in lessons.classes(me)] == [first.name, "winking"]
    app.text_input(key=f"rename-{second.id}").set_value(first.name).run()
    assert [one.name for one in lessons.classes(me)] == [first.name, "winking"] and len(app.error) == 1
    app.button(key=f"delete-{second.id}").click().run()
    assert [one.name for one in lessons.classes(me)] == [first.name]
    assert "A second class is needed" in said(app)


def test_what_is_taught_is_told_and_stands_on_other_pages(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    app.run()
    lessons, me = get_server().lessons, visitor(app)
    for name, clips in {"waving": ["jogging", "yawning"], "*nod*": ["side_kick", "situp"]}.items():
        one = lessons.add_class(me, name)
        for clip in clips:
            lessons.add(me, one.id, clip, CLIPS / f"{clip}.mp4")
    until(app, lambda app: any(button.key == "teach" for button in app.button))
    assert app.button(key="teach").label == "Teach 2 classes, 4 clips" and not app.button(key="teach").disabled
    app.button(key="teach").click().run()
    running = lessons.running(me)
    assert running and running.wait(60) and running.state == "done", running
    until(app, lambda app: "Named right" in said(app))
    taught = lessons.taught(me)
    assert taught and verdict(taught.report) in said(app).replace("\\", "")
    assert all(notice in said(app).replace("\\", "") for notice in taught.report.notices)
    wrong = taught.report.confused
    assert sum(str(button.key).startswith("confused-remove-") for button in app.button) == len(wrong)
    lessons.remove(me, taught.examples[0].id)
    assert "1 clip was removed since: teach again." in said(app.run())

    live = AppTest.from_file(str(PAGES / "live.py"), default_timeout=60)
    live.session_state["visit"] = app.session_state["visit"]
    live.query_params["checkpoint"] = TAUGHT
    until(live, lambda app: "Every" in said(app))
    assert live.selectbox(key="checkpoint").value == TAUGHT and "is not to be had" not in said(live)
    assert live.session_state["visit"].settings.checkpoint == taught.folder


def test_a_link_to_it_is_refused_where_there_is_none(workers: None) -> None:
    live = AppTest.from_file(str(PAGES / "live.py"), default_timeout=60)
    live.query_params["checkpoint"] = TAUGHT
    until(live, lambda app: "Every" in said(app))
    assert TAUGHT not in live.selectbox(key="checkpoint").options
    assert f"The link asks for what is not to be had here: checkpoint '{TAUGHT}'" in said(live)
