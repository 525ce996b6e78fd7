"""What the page says of an evaluation, tab by tab, without a browser."""

import shlex
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from tests.vivit.evaluate.kept import kept
from ui import evaluate_agreement
from vivit.__main__ import _parser
from vivit.evaluate.kept import Kept

TARGETS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
TWO = kept(
    {"sdpa float16": [0, 1, 2, 0, 1, 2, 0, 1, 0, None], "eager float32": [*TARGETS[:9], None]}, TARGETS, id="two"
)
OTHER = kept({"eager float32": [0, 0, 0, *TARGETS[3:]]}, TARGETS, id="other", dataset="owner/name")
EARLY = kept({"sdpa float32": [0, 1]}, TARGETS, id="early", errors=("The memory is too small.",))


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """These are the evaluations that there are, without a server."""
    evaluations = SimpleNamespace(kept=lambda: [TWO, OTHER])
    monkeypatch.setattr(evaluate_agreement, "get_server", lambda: SimpleNamespace(evaluations=evaluations))


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


@pytest.mark.parametrize(
    ("tab", "said"),
    [
        ("Classes", "Classes, with 95 % intervals"),
        ("Confusion", "Choose a square or a row"),
        ("Calibration", "of 9 clips in 15 equally wide bins"),
        ("Agreement", "1 of 9 clips has another answer, 11.1 % (2.0 to 43.5 %)"),
        ("Clips", "Shows **walking**, which is at rank 1 with 90.0%"),
        ("Speed", "10 clips in 10.0 s, 1 a second by 2 cells. The models worked 60% of the time"),
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
    app = choice.select("other").run()
    assert not app.exception
    assert "**eager float32**: 3 of 9 clips have another answer" in texts(app)


def test_the_commands_find_the_same() -> None:
    (code,) = page(TWO, "Speed").code
    first, second = (_parser().parse_args(shlex.split(line)[3:]) for line in code.value.splitlines())
    for options in (first, second):
        assert (options.source, options.limit, options.views) == ("/nowhere", 10, "1x1")
    assert (first.attention, first.precision, first.out, first.against) == ("eager", "float32", "eager-float32", [])
    assert (second.attention, second.precision, second.out, second.against) == ("sdpa", "float16", None, [first.out])


def test_what_ended_early_says_so() -> None:
    found = texts(page(EARLY, "Classes"))
    assert "sdpa float32** ended early: The memory is too small." in found
