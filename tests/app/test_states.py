"""The states of the Classify page, drawn by AppTest with the real workers behind it."""

import re
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button, Multiselect

import ui.clips
import ui.visit
from tests.drawn import until
from tests.shorter import some
from ui import checkpoints, settings
from ui.server import get_server
from vivit import names
from vivit.attention import ATTENTION
from vivit.hub import embedded_checkpoints
from vivit.precision import DTYPES
from vivit.processing import NORMALISATIONS
from vivit.video import SAMPLING

ROOT = Path(__file__).parents[2]
RANDOM = "vivit-b-16x2-random"

pytestmark = pytest.mark.usefixtures("workers")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(checkpoints, "offers_folders", lambda: True)  # AppTest's visitors have no address
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)


def answered(app: AppTest) -> bool:
    return len(app.metric) == 3


def test_the_empty_state_teaches(app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui.clips, "ASSETS", tmp_path)
    st.cache_data.clear()
    try:
        app.run()
    finally:
        st.cache_data.clear()  # or the tests that follow would find no clips either
    assert not app.exception
    assert "Upload or record a clip of a few seconds" in app.info[0].value


def test_the_first_visit_ends_with_an_answer_and_its_cost(app: AppTest) -> None:
    until(app, answered)
    assert {m.label for m in app.metric} == {"Latency", "Peak memory", "Weights"}
    assert app.title[0].value == "What is happening in this clip?"
    assert any("Latency: " in c.value for c in (*app.caption, *app.markdown))


def test_an_upload_takes_the_place_of_the_bundled_clip(app: AppTest, tmp_path: Path) -> None:
    from tests.clips import write_clip

    until(app, answered)
    app.file_uploader[0].upload("mine [*].mp4", write_clip(tmp_path / "c.mp4", 20).read_bytes(), "video/mp4").run()
    until(app, lambda a: any("of 20 frames" in c.value for c in a.caption))
    assert any(r"mine \[\*\]\.mp4" in c.value for c in app.caption), "its name is shown as it is, not as Markdown"
    assert any("last one is repeated" in w.value for w in app.warning)


def test_a_slow_run_waits_for_a_word_and_says_how_long(app: AppTest) -> None:
    app.query_params["checkpoint"] = RANDOM
    app.query_params["attention"] = "eager"
    until(app, lambda a: any("This will take about" in c.value for c in a.caption))
    assert any(b.label == "Run" for b in app.button)
    assert not app.metric


@pytest.mark.parametrize(
    ("label", "name", "scores"),
    [
        ("1 · unfactorised", RANDOM, "3,137² scores a head, of 12 heads = 450.5 MiB"),
        ("2 · encoder", "vivit-b-16x2-encoder-random", "16 × 197² scores a head, of 12 heads = 28.4 MiB"),
        (
            "3 · self-attention",
            "vivit-b-16x2-self-attention-random",
            "196 × 16² over time, then 16 × 196² over space scores a head, of 12 heads = 2.3 MiB and 28.1 MiB",
        ),
        (
            "4 · dot-product",
            "vivit-b-16x2-dot-product-random",
            "196 × 16² over time scores for each of 6 heads, 16 × 196² over space for each of the other 6 = 15.2 MiB",
        ),
    ],
)
def test_each_of_the_four_models_is_chosen_and_its_scores_are_counted(
    app: AppTest, label: str, name: str, scores: str
) -> None:
    app.query_params |= {"checkpoint": RANDOM, "model": label}
    until(app, lambda a: any(scores in c.value for c in a.caption))
    assert app.selectbox(key="model").options == list(checkpoints.MODELS)
    assert app.session_state["visit"].settings.checkpoint == name
    assert any(c.value.startswith(f"Model {label[0]}: ") and "predicts nothing" in c.value for c in app.caption)
    assert any("Random weights have no answer" in c.value for c in app.caption)
    assert not any("The link asks for" in w.value for w in app.warning)


def test_what_factorising_buys_is_asked_of_the_four_whatever_is_chosen(app: AppTest) -> None:
    until(app, answered)
    app.query_params["preset"] = "what does factorising buy?"
    app.switch_page("pages/benchmark.py")
    until(app, lambda a: any(re.match(r"Measure \d+ (of 24 )?cells?, about", b.label) for b in a.button))
    assert app.selectbox(key="preset").value == "what does factorising buy?"
    assert any("The paper's four models" in c.value for c in app.caption)
    assert not [box for box in app.selectbox if box.label == "Checkpoint"], "it is of its own"
    app.selectbox(key="preset").set_value("number of tokens").run()
    assert app.selectbox(key="bench-checkpoint").value == "vivit-mannequin"
    assert not any("random" in option for option in beside_of(app).options), "those take larger frames"
    (reason,) = (c.value for c in app.caption if "takes 32 frames of 224 × 224 pixels, not 32 frames" in c.value)
    assert "model 2 · encoder (random weights), model 3" in reason.replace("\\", "")
    app.selectbox(key="bench-checkpoint").set_value(RANDOM).run()
    assert "model 2 · encoder (random weights)" in beside_of(app).options
    assert said_of_random_weights(app).endswith("only the agreement between cells.")
    beside_of(app).set_value(["vivit-b-16x2-encoder-random"]).run()
    assert said_of_random_weights(app).endswith("only the agreement between cells of the same model.")


def beside_of(app: AppTest) -> Multiselect[str]:
    return app.multiselect(key="b-models")


def said_of_random_weights(app: AppTest) -> str:
    (said,) = (c.value for c in app.caption if c.value.startswith("Random weights, for timing only"))
    return said


@pytest.mark.parametrize(("model", "of"), [("1 · unfactorised", ""), ("2 · encoder", "model 1, unfactorised, on ")])
def test_bars_that_are_not_of_the_chosen_model_say_of_which_they_are(app: AppTest, model: str, of: str) -> None:
    app.query_params |= {"checkpoint": RANDOM, "model": model}
    until(app, lambda a: any("Not measured here yet" in s.value for s in a.subheader))
    (heading,) = (s.value for s in app.subheader if "Not measured here yet" in s.value)
    assert heading.startswith(f"Not measured here yet: these bars are of {of}NVIDIA")
    assert ("model 1, unfactorised, recorded on" in " ".join(m.value for m in app.markdown)) == bool(of)


def test_what_a_link_asks_of_the_pixels_is_done_without_a_warning(app: AppTest) -> None:
    app.query_params["normalisation"] = "original"
    until(app, answered)
    assert app.session_state["visit"].settings.normalisation == "original"
    assert not any("The link asks for" in w.value for w in app.warning)
    assert any(c.value == "As the original, [-1, 1]." for c in app.caption)


def test_every_embedded_checkpoint_is_explained_where_it_is_chosen(app: AppTest) -> None:
    app.run()
    assert len(embedded_checkpoints()) > 1
    assert all(name in app.selectbox(key="checkpoint").help for name in embedded_checkpoints())


def test_a_folder_is_asked_for_and_a_wrong_one_is_named(app: AppTest, tmp_path: Path) -> None:
    app.query_params["checkpoint"] = checkpoints.FOLDER
    app.run()
    assert any("save_pretrained" in i.value for i in app.info)
    app.text_input[0].input(str(tmp_path)).run()
    until(app, lambda a: any("config.json" in e.value.replace("\\", "") for e in a.error))
    assert any(b.label == "Try again" for b in app.button)


def test_a_visitor_from_elsewhere_is_not_offered_the_servers_folders(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "offers_folders", lambda: False)
    app.query_params["checkpoint"] = checkpoints.FOLDER
    until(app, answered)
    assert checkpoints.FOLDER not in app.selectbox(key="checkpoint").options
    assert any("so 'vivit\\-mannequin' is used" in w.value for w in app.warning)


@pytest.mark.parametrize("page", some(["pages/classify.py", "pages/benchmark.py"], "pages/classify.py"))
def test_every_run_says_that_its_visitor_is_here(app: AppTest, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a run that asks for nothing new: after a lost connection only the next click tells of the visitor."""
    until(app, answered)
    app.switch_page(page).run()
    here: list[str] = []

    def present(visitor: str) -> str:
        here.append(visitor)
        return visitor

    monkeypatch.setattr(ui.visit, "_present", present)
    app.run()
    assert not app.exception and set(here) == {app.session_state["visit"].visitor}


def test_the_probes_are_told_as_they_were_run(app: AppTest) -> None:
    until(app, answered)
    machine = get_server().engine.hello("model")
    assert (machine.probes.tokens, machine.probes.heads, machine.probes.size) == (1024, 3, 768)
    assert any("attention over 1024 tokens, 3 heads; products with a 768 × 768 weight" in c.value for c in app.caption)


def test_top_k_is_obeyed(app: AppTest) -> None:
    app.query_params["top_k"] = "3"
    until(app, answered)
    (answers,) = [table.value for table in app.dataframe if "probability" in table.value]
    assert len(answers) == 3


@pytest.mark.parametrize(
    ("sampling", "said", "strides"),
    some(
        [
            ("transformers", "pipeline without torchvision.", 1),
            ("transformers-torchvision", "pipeline with torchvision.", 0),
            ("uniform", "Evenly over the whole clip.", 0),
        ],
        ("transformers", "pipeline without torchvision.", 1),
    ),
)
def test_what_a_sampling_rule_does_is_said_beside_it(app: AppTest, sampling: str, said: str, strides: int) -> None:
    app.query_params["sampling"] = sampling
    until(app, answered)
    assert sum(said in caption.value for caption in app.caption) == 1
    assert len([slider for slider in app.slider if slider.label == "Every n-th frame"]) == strides


def test_several_views_are_seen_and_said(app: AppTest) -> None:
    """Their crops, their frames, and that a pass holds all of them."""
    app.query_params["views"] = "1x3"

    def runs(button: Button) -> bool:
        return button.label == "Run"

    until(app, lambda a: answered(a) or any(map(runs, a.button)))
    for button in filter(runs, app.button):  # where the machine is slow or busy
        button.click()
    until(app, answered)
    said = [element.value for element in (*app.caption, *app.markdown, *app.code)]
    for words in ("3 views of 32 frames each", "(0, 0) to (256, 256), (42, 0) to (298, 256) and (84, 0) to (340, 256)"):
        assert sum(words in text for text in said) == 1
    assert sum("all 3 views" in text for text in said) >= 1 and any("--views 1x3" in text for text in said)
    assert app.metric[0].label == "Latency" and "all 3 views of the clip in each" in app.metric[0].help
    (crop,) = [group for group in app.segmented_control if group.label == "Crop"]
    assert crop.options == ["left", "middle", "right"]


def test_the_controls_offer_just_what_the_library_has() -> None:
    assert set(settings.ATTENTION) == set(ATTENTION)
    assert set(settings.PRECISION) == set(DTYPES)
    assert set(names.SAMPLING) == set(SAMPLING)
    assert list(checkpoints.MODELS.values()) == list(names.FACTORIZATIONS)
    assert set(names.NORMALISATION) == {"checkpoint", *NORMALISATIONS}
