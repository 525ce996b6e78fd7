"""What the page says of an evaluation, tab by tab, without a browser."""

import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.vivit.evaluate.kept import kept
from ui import evaluate_kept, evaluate_open, evaluate_source
from ui.checkpoints import FOLDER as FOLDER_HERE
from ui.checkpoints import REPOSITORY
from ui.visit import visit
from vivit.__main__ import _parser
from vivit.evaluate.kept import Kept
from vivit.evaluate.records import Asked
from vivit.hub import ASSETS
from vivit.hub.clips import Clip, ClipList

TARGETS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]


def with_cells(kept: Kept, **changes: Any) -> Kept:
    """The evaluation with other fields of `Asked` in all cells."""
    cells = [replace(one, asked=replace(one.asked, **changes)) for one in kept.evaluations]
    return replace(kept, evaluations=tuple(cells))


def with_source(kept: Kept, **changes: Any) -> Kept:
    """The evaluation with other fields of `Source` in all cells."""
    cells = [replace(one, source=replace(one.source, **changes)) for one in kept.evaluations]
    return replace(kept, evaluations=tuple(cells))


DATASET = {"dataset": "owner/name", "commit": "c0ffee"}
TWO = kept(
    {"sdpa float16": [0, 1, 2, 0, 1, 2, 0, 1, 0, None], "eager float32": [*TARGETS[:9], None]},
    TARGETS,
    id="two",
    **DATASET,
)
OTHER = with_cells(
    kept({"eager float32": [0, 0, 0, *TARGETS[3:]], "sdpa float32": [0, 0]}, TARGETS, id="other", **DATASET),
    sampling="center",
    stride=2,
)
LATER = kept({"eager float32": TARGETS}, TARGETS, id="later", dataset="owner/name", commit="decade")
FOLDER = kept({"eager float32": TARGETS}, TARGETS, id="folder")
BUNDLED = with_source(
    kept({"sdpa float16": [*TARGETS[:9], 1], "eager float32": TARGETS}, TARGETS, id="bundled"),
    root=str(Path(ASSETS) / "clips"),
)
OURS = with_cells(replace(TWO, id="ours"), model="/home/me/secret/mine")
EARLY = kept({"sdpa float32": [0, 1]}, TARGETS, id="early", errors=("The memory is too small.",))

ALL = [TWO, OTHER, LATER, FOLDER, BUNDLED, OURS]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server, the evaluations in `ALL` are those that are kept."""
    evaluations = SimpleNamespace(kept=lambda: ALL)
    monkeypatch.setattr(evaluate_kept, "get_server", lambda: SimpleNamespace(evaluations=evaluations))


def page(shown: Kept, tab: str) -> AppTest:
    def script(shown, tab):  # type: ignore[no-untyped-def]
        from ui.evaluate_results import show_kept
        from ui.visit import set_widget, widget

        if widget("evaluated") is None:
            set_widget("evaluated", tab)
        show_kept(shown)

    app = AppTest.from_function(script, kwargs={"shown": shown, "tab": tab}, default_timeout=60).run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    shown = [*app.subheader, *app.markdown, *app.caption, *app.warning, *app.info, *app.success]
    return "\n".join(element.value for element in shown).replace("\\", "")


def tiles(app: AppTest) -> dict[str, tuple[str, str]]:
    """Label of a figure → the figure and what stands below it."""
    return {tile.label.replace("\\", ""): (tile.value, tile.delta) for tile in app.metric}


@pytest.mark.parametrize(
    ("tab", "said"),
    [
        ("Classes", "Classes, with 95 % intervals"),
        ("Confusion", "Choose a square or a row"),
        ("Calibration", "There are 9 clips in 15 equally wide bins: too few for an expected calibration error"),
        ("Agreement", "1 of 9 clips has another answer, 11.1 % (2.0 to 43.5 %)"),
        ("Clips", "Shows **walking**, which is at rank 1 with 90.0%"),
        ("Speed", "9 clips in 10.0 s, 0.9 a second by 2 cells. The models worked 60% of the time"),
        ("Two evaluations", "Choose another evaluation"),
    ],
)
def test_every_tab_says_what_it_shows(tab: str, said: str) -> None:
    found = texts(page(TWO, tab))
    assert said in found
    assert (
        "sdpa float16 is right on 88.9 % of 9 clips (56.5 to 98.0); 1 answer of 9 changes from eager float32" in found
    )
    assert "1 clip could not be used and counts nowhere" in found
    assert "vivit-mannequin · uniform sampling · 1x1 views · pixel values: checkpoint · cpu" in found


def test_tables_have_what_charts_show() -> None:
    worst = page(TWO, "Classes").dataframe[0].value.iloc[0]
    assert (worst["class"], worst["clips"], worst["most taken for"]) == ("sitting still", 3, "walking")
    (mistake,) = page(TWO, "Confusion").dataframe[0].value.itertuples(index=False)
    assert tuple(mistake)[:3] == ("sitting still", "walking", 1)
    (beside,) = page(TWO, "Agreement").dataframe[0].value.to_dict("records")
    assert (beside["changed"], beside["it alone right"], beside["the other alone"], beside["McNemar p"]) == (
        1,
        0,
        1,
        1.0,
    )
    clips = page(TWO, "Clips").dataframe[0].value
    assert list(clips["why not"]) == [""] * 9 + ["It is no video."]


def test_two_evaluations_are_compared_on_the_clips_of_both() -> None:
    app = page(TWO, "Two evaluations")
    (choice,) = app.selectbox
    (offered,) = (
        choice.options
    )  # not those of another commit, of a folder, of the bundled clips, or of a folder's checkpoint
    assert "vivit-mannequin · eager float32 · sdpa float32" in offered
    app = choice.select("other").run()
    assert not app.exception
    found = texts(app)
    assert "**eager float32**: 3 of 9 clips have another answer" in found
    assert "**sdpa float32**: 1 of 2 clips has another answer" in found
    assert "eager float32 there: sampling (uniform and center), stride (none and 2)" in found
    alone = texts(page(LATER, "Two evaluations"))
    assert "There is no other evaluation of the same dataset or folder" in alone


def test_what_is_of_this_machines_folders_is_for_who_may_open_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def ids() -> list[str]:
        return [*evaluate_kept.kept_here()]

    def root(kept: Kept) -> str:
        return evaluate_kept.to_take_along(kept).evaluations[0].source.root

    for allowed, seen in ((False, ["two", "other", "later", "bundled"]), (True, [one.id for one in ALL])):
        monkeypatch.setattr(evaluate_kept, "offers_folders", lambda allowed=allowed: allowed)
        assert ids() == seen
        assert root(TWO) == ("/nowhere" if allowed else "")


def test_of_clips_that_were_chosen_agreement_comes_first() -> None:
    app = page(BUNDLED, "Agreement")
    assert app.tabs[0].label == "Agreement"
    shown = tiles(app)
    assert shown["Top-1"] == ("90.0%", "chosen clips") and shown["Calibration error"][1] == "10 clips, 15 bins"
    assert "Answers that change from eager float32, of all clips" in texts(app)


def test_of_few_clips_no_percentage_is_told() -> None:
    shown = tiles(page(TWO, "Calibration"))
    assert shown["Top-1"] == ("8 of 9", "56.5 to 98.0 %")
    assert shown["Calibration error"] == ("not known", "9 clips, 15 bins")


@pytest.mark.parametrize(
    ("model", "widgets"),
    [
        ("vivit-mannequin", {"checkpoint": "vivit-mannequin"}),
        ("owner/name@c0ffee", {"checkpoint": REPOSITORY, "repository": "owner/name", "revision": "c0ffee"}),
        (str(Path(ASSETS).absolute()), {"checkpoint": FOLDER_HERE, "folder": str(Path(ASSETS).absolute())}),
        ("/nowhere/at/all", {}),
        ("owner/name", {}),
    ],
)
def test_classify_gets_the_very_checkpoint_or_none(
    monkeypatch: pytest.MonkeyPatch, model: str, widgets: dict[str, str]
) -> None:
    chosen: dict[str, str] = {}
    monkeypatch.setattr(evaluate_open, "set_widget", chosen.__setitem__)
    monkeypatch.setattr(evaluate_open, "offers_folders", lambda: True)
    assert evaluate_open.choose(Asked(model, 1)) == bool(widgets)
    assert chosen == widgets
    if "folder" in widgets:
        monkeypatch.setattr(evaluate_open, "offers_folders", lambda: False)
        assert not evaluate_open.choose(Asked(model, 1))


def test_the_commands_find_the_same() -> None:
    (code,) = page(replace(TWO, dataset=""), "Speed").code
    first, second = (_parser().parse_args(shlex.split(line)[3:]) for line in code.value.splitlines())
    for options in (first, second):
        assert (options.source, options.limit, options.views) == ("/nowhere", 10, "1x1")
    assert (first.attention, first.precision, first.out, first.against) == ("eager", "float32", "eager-float32", [])
    assert (second.attention, second.precision, second.out, second.against) == ("sdpa", "float16", None, [first.out])


def test_what_ended_early_says_so() -> None:
    found = texts(page(EARLY, "Classes"))
    assert "sdpa float32** ended early: The memory is too small." in found


def test_a_dataset_says_what_it_downloads_and_that_models_may_have_learned_from_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "val" / "running").mkdir(parents=True)
    (tmp_path / "val" / "running" / "2.mp4").touch()  # has come since the dataset was listed
    files = {
        "train/running/0.mp4": False,
        "val/running/1.mp4": True,
        "val/running/2.mp4": False,
        "val/walking/3.mp4": False,
    }
    clips = [
        Clip(split, label, f"{split}/{label}/{name}", 20_000_000, cached)
        for file, cached in files.items()
        for split, label, name in [file.split("/")]
    ]
    listing = SimpleNamespace(result=ClipList("owner/name", "c0ffee", tuple(clips), str(tmp_path)))

    def held(slot: str, *_: object) -> SimpleNamespace:
        visit().jobs[slot] = ("", listing)  # type: ignore[assignment]
        return listing

    for name, value in {
        "ready": lambda _: True,
        "finished": lambda *_: True,
        "job_for": held,
        "warn_offline": lambda: 0,
    }.items():
        monkeypatch.setattr(evaluate_source, name, value)

    def script() -> None:
        from types import SimpleNamespace

        from ui.evaluate_source import KINETICS, choose_clips, show_download
        from ui.visit import set_widget

        set_widget("labelled", KINETICS)
        found, _ = choose_clips()
        assert found
        show_download(SimpleNamespace(found=found, clips=found.clips))  # type: ignore[arg-type]

    app = AppTest.from_function(script, default_timeout=60).run()
    assert not app.exception
    assert "20 MB to download, of 1 clip." in texts(app) and "may have learned" not in texts(app)
    app = app.selectbox(key="part").select("train").run()
    assert "20 MB to download, of 1 clip." in texts(app) and "may have learned" in texts(app)
    app = app.selectbox(key="part").select("all splits").run()
    assert "40 MB to download, of 2 clips." in texts(app) and "may have learned" in texts(app)
