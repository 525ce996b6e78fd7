"""The page 'Teach' without a browser: what can be taught, what is refused, what came of it, and where it stands then."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.teachings import Example, RunningTeaching, Taught, TaughtClass, TeachAsked
from tests.drawn import until
from tests.vivit.evaluate.kept import kept
from ui import clips, evaluate_kept, teach_classes, teach_results, teach_start
from ui.checkpoints import FOLDER, REPOSITORY
from ui.server import get_server
from ui.taught import TAUGHT, called, public_name
from ui.teach_fill import BUNDLED
from ui.teach_results import changes, news, verdict
from ui.teach_start import faults_of, why_not
from ui.teach_try import ADDED
from ui.visit import Visit
from vivit.evaluate.kept import Kept, as_csv, as_json
from vivit.hub import ASSETS, KINETICS_CHECKPOINT
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
        "2 of 4 clips named right by heads that had not seen them (50 %, 15 to 85 %); always naming the largest class would "
        "get 50 %."
    )


def test_what_is_different_since_is_counted() -> None:
    def since(classes: list[TaughtClass], faults: str = "", asked: TeachAsked = TAUGHT_ONE.asked) -> str:
        return changes(TAUGHT_ONE, classes, faults, asked)

    assert not since([ONE, TWO])
    more = replace(TWO, examples=(*TWO.examples, *(Example(id, f"/{id}.clip", id) for id in "xyz")))
    assert since([ONE, more]) == "3 clips were added since: teach again."
    assert not since([ONE, more], "xyz")
    moved = [replace(ONE, examples=tuple(FOUR[:1])), replace(TWO, examples=tuple(FOUR[1:3]))]
    assert since(moved) == "1 clip was removed, 1 clip was moved or renamed since: teach again."
    assert since([replace(ONE, name="winking"), TWO]).startswith("2 clips were moved or renamed")
    assert since([ONE, TWO], asked=TeachAsked("another")) == "the model was changed since: teach again."
    assert since([ONE, TWO], asked=replace(TAUGHT_ONE.asked, sampling="center")).startswith("how the model is used was")
    assert not since([ONE, TWO], asked=TeachAsked(""))


def test_what_comes_of_teaching_is_announced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Visit("somebody")
    monkeypatch.setattr(teach_results, "visit", lambda: one)
    assert news(None, None, "") == ""
    running = RunningTeaching(TAUGHT_ONE.asked, (ONE, TWO))
    assert news(running, TAUGHT_ONE, "Waving, 92 %.") == f"{verdict(REPORT)} Waving, 92 %."
    assert news(running, TAUGHT_ONE, "Waving, 92 %.") == ""
    running.state, running.error = "failed", "It is broken."
    assert news(running, TAUGHT_ONE, "Waving, 92 %.") == "It is broken."
    assert news(running, TAUGHT_ONE, "Winking, 51 %.") == "Winking, 51 %."
    assert news(running, replace(TAUGHT_ONE, number=2), "") == verdict(REPORT)
    cancelled = RunningTeaching(TAUGHT_ONE.asked, (ONE, TWO), state="cancelled")
    assert news(cancelled, replace(TAUGHT_ONE, number=2), "Winking, 51 %.") == "Cancelled. Winking, 51 %."


def test_clips_that_could_not_be_used_stay_known_while_it_teaches_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Visit("somebody")
    monkeypatch.setattr(teach_start, "visit", lambda: one)
    done = RunningTeaching(TAUGHT_ONE.asked, (ONE, TWO), faults={"a": "It is broken."}, state="done")
    assert faults_of(done) == {"a": "It is broken."}
    assert faults_of(RunningTeaching(TAUGHT_ONE.asked, (ONE, TWO), faults={"b": "So is it."})).keys() == {"a", "b"}
    assert faults_of(RunningTeaching(TAUGHT_ONE.asked, (ONE, TWO), state="done")) == {}


@pytest.mark.parametrize(
    ("checkpoint", "chosen"),
    [
        ("vivit-mannequin-fe", {"checkpoint": "vivit-mannequin-fe"}),
        (f"{KINETICS_CHECKPOINT}@c0ffee", {"checkpoint": KINETICS_CHECKPOINT}),
        ("owner/name@c0ffee", {"checkpoint": REPOSITORY, "repository": "owner/name", "revision": "c0ffee"}),
        ("/home/me/mine", {"checkpoint": FOLDER, "folder": "/home/me/mine"}),
    ],
)
def test_where_the_taught_one_is_chosen_its_model_takes_its_place(checkpoint: str, chosen: dict[str, Any]) -> None:
    asked = f"TeachAsked({checkpoint!r}, attention='eager', sampling='center', stride=3)"
    lines = ["from engine.lessons import TeachAsked", "from ui.teach_start import ask_again", f"ask_again({asked})"]
    app = AppTest.from_string("\n".join(lines))
    app.session_state["visit"] = one = Visit("somebody", links={"teach": {"attention": "sdpa"}})
    assert "checkpoint" not in app.run().session_state
    app.session_state["checkpoint"] = TAUGHT
    app.run()
    assert not app.exception and not one.links["teach"]
    chosen |= {"attention": "eager", "sampling": "center", "stride": 3}
    assert {key: app.session_state[key] for key in chosen} == chosen


class Coming:
    """In the place of a job that makes a picture. Args: state: as a job's."""

    def __init__(self, state: str = "running") -> None:
        self.state, self.blobs = state, [b"a picture"]

    @property
    def finished(self) -> bool:
        return self.state != "running"

    @property
    def process_ended(self) -> bool:
        return self.state == "failed"

    def wait(self, timeout: float) -> bool:
        return self.finished


def test_pictures_are_asked_for_a_few_at_a_time_and_once_more_where_a_process_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, asked = Visit("somebody"), list[Coming]()

    def job_for(slot: str, path: str, submit: object) -> Coming:
        asked.append(Coming())
        one.jobs[slot] = (path, asked[-1])  # type: ignore[assignment]
        return asked[-1]

    monkeypatch.setattr(clips, "visit", lambda: one)
    monkeypatch.setattr(teach_classes, "visit", lambda: one)
    monkeypatch.setattr(clips, "job_for", job_for)
    five = [*FOUR, Example("e", "/e.clip", "e")]
    assert list(teach_classes.pictures_of(five).values()) == [""] * 5
    assert len(asked) == 3
    asked[0].state, asked[1].state = "done", "failed"
    pictures = teach_classes.pictures_of(five)
    assert pictures["a"] and not any(pictures[id] for id in "bcde") and len(asked) == 5
    for job in asked:
        job.state = "failed" if job.state == "running" else job.state
    for _ in range(3):
        teach_classes.pictures_of(five)
        for job in asked:
            job.state = "failed" if job.state == "running" else job.state
    assert len(asked) == 9  # b, c, d and e twice


def test_of_what_is_outside_a_checkpoint_that_was_taught_no_other_one_is_advised() -> None:
    def warned(name: str) -> str:
        return (
            AppTest.from_string(f"from ui.answer import warn_unfamiliar\nwarn_unfamiliar({name!r})")
            .run()
            .warning[0]
            .value
        )

    assert "Kinetics" in warned("vivit-mannequin") and "Kinetics" not in warned(OWN)


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
    taken = evaluate_kept.to_take_along(own)
    assert {cell.asked.model for cell in taken.evaluations} == {"vivit-mannequin-taught"}
    assert "vivit-mannequin-taught" in as_csv(taken) and OWN not in as_csv(taken) + as_json(taken)
    monkeypatch.setattr(evaluate_kept, "taught_folder", lambda: "")
    assert not evaluate_kept.may_see(own)


@pytest.fixture
def app(workers: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    app = AppTest.from_file(str(PAGES / "teach.py"), default_timeout=60)
    yield app
    get_server().lessons.drop(visitor(app))


def visitor(app: AppTest) -> str:
    name: str = app.session_state["visit"].visitor
    return name


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
    assert len(app.run().error) == 1 and app.text_input(key="teach-new").value == "*NOD* [a](b)"
    name_class(app, "waving")
    assert not app.error and not app.text_input(key="teach-new").value
    lessons, me = get_server().lessons, visitor(app)
    first, second = lessons.classes(me)
    again = AppTest.from_file(str(PAGES / "teach.py"), default_timeout=60)
    again.session_state["visit"] = app.session_state["visit"]
    assert again.run().session_state["teach-class"] == second.id
    app.session_state["visit"].lesson.refused["teach-class"] = ["a.mp4: It is broken.", "b.mp4: So is it."]
    assert [error.value.replace("\\", "") for error in app.run().error] == ["a.mp4: It is broken.\n\nb.mp4: So is it."]
    app.session_state["visit"].lesson.refused.clear()
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
    for name, files in {"waving": ["jogging", "yawning"], "*nod*": ["side_kick", "situp"]}.items():
        one = lessons.add_class(me, name)
        for clip in files:
            lessons.add(me, one.id, clip, CLIPS / f"{clip}.mp4")
    until(app, lambda app: any(button.key == "teach" for button in app.button))
    assert app.button(key="teach").label == "Teach 2 classes, 4 clips" and not app.button(key="teach").disabled
    app.button(key="teach").click().run()
    running = lessons.running(me)
    assert running and running.wait(180) and running.state == "done", running
    until(app, lambda app: "named right" in said(app))
    taught = lessons.taught(me)
    assert taught and verdict(taught.report) in said(app).replace("\\", "")
    assert all(notice in said(app).replace("\\", "") for notice in taught.report.notices)
    assert "Fitted to what vivit-mannequin sees." in said(app).replace("\\", "")
    wrong = taught.report.confused
    assert sum(str(button.key).startswith("confused-remove-") for button in app.button) == len(wrong)
    lessons.remove(me, taught.examples[0].id)
    assert "1 clip was removed since: teach again." in said(app.run())

    # What was tried is an example for as long as a class has it.
    app.session_state["try-from"] = BUNDLED
    until(app, lambda app: any(box.key == ADDED for box in app.selectbox))
    app.selectbox(key=ADDED).set_value(lessons.classes(me)[0].id).run()
    app.button[[button.label for button in app.button].index("Add it")].click().run()
    assert "It is an example now" in said(app)
    lessons.remove(me, app.session_state["visit"].lesson.added[1])
    assert "It is an example now" not in said(app.run())

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
