"""How well taught heads know actions that no checkpoint was trained on: seeds, known features, the whole path, small."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mannequin import evaluate, teach
from mannequin.actions import LABELS
from mannequin.evaluate import clips_as_tensors
from mannequin.novel import NOVEL
from mannequin.renders import evaluation_seeds, render_video
from mannequin.teach import (
    MOST_CLIPS,
    MOST_SEED,
    NEW_SEEDS,
    TAUGHT_SEEDS,
    Features,
    as_text,
    measure,
    seeds_of,
    take_features,
    with_random_weights,
    write_clips,
)
from mannequin.train import EVALUATION_SEEDS
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor
from vivit.teach.heads import Taught, fit_head
from vivit.video import probe

THREE = ["air drumming", "climbing ladder", "shaking head"]


@pytest.fixture(scope="module")
def model() -> VivitForVideoClassification:
    return VivitForVideoClassification.from_pretrained(evaluate.CHECKPOINT)


def test_no_two_clips_have_the_same_seed_and_those_that_are_new_stay_new() -> None:
    every = [
        seeds_of(label, MOST_CLIPS, seed, seeds)
        for label in NOVEL
        for seed in (0, 1, MOST_SEED)
        for seeds in (TAUGHT_SEEDS, NEW_SEEDS)
    ]
    assert all(len(some) == MOST_CLIPS and all(one in EVALUATION_SEEDS for one in some) for some in every)
    assert len(set(chain.from_iterable(every))) == MOST_CLIPS * len(every)
    assert seeds_of("shaking head", 3, 1, NEW_SEEDS) == seeds_of("shaking head", 9, 1, NEW_SEEDS)[:3]
    outside = {one for label in LABELS for one in evaluation_seeds(label, 500, 1)}
    assert not outside & set(chain.from_iterable(every))


def clouds(model: VivitForVideoClassification, taught: int, apart: float, seed: int) -> Features:
    """Features of no clips: a cloud for each of three classes, so far apart, and a fourth that is outside."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(4, model.config.hidden_size)) * apart

    def some(k: int, clips: int) -> np.ndarray:
        found: np.ndarray = centres[k] + random.normal(size=(clips, model.config.hidden_size))
        return found.astype(np.float32)

    return Features(
        model,
        {label: some(k, taught) for k, label in enumerate(THREE)},
        {label: some(k, 40) for k, label in enumerate(THREE)},
        some(3, 30),
    )


def test_figures_of_features_whose_answer_is_known(model: VivitForVideoClassification) -> None:
    report = measure([clouds(model, 20, 2.0, 0), clouds(model, 20, 0.0, 1)], [1, 6], draws=2, seed=0)
    assert (report["classes"], report["new"], report["outside"], report["chance"]) == (THREE, 120, 30, 0.3333)
    assert [one["clips_a_class"] for one in report["curve"]] == [1, 6]
    for one in report["curve"]:
        known, unknown = one["model"], one["random_weights"]
        assert known["accuracy"] >= (0.6 if one["clips_a_class"] == 1 else 0.95)
        assert known["lowest"] <= known["accuracy"] <= known["highest"]
        # Nothing is in these features: 3 standard deviations of 120 guesses.
        assert unknown["accuracy"] == pytest.approx(1 / 3, abs=0.13)
        for side in (known, unknown):
            low, high = side["first"]["interval"]
            assert low < side["first"]["right"] / side["first"]["of"] < high or side["first"]["right"] == 120
            assert side["accuracy"] == pytest.approx(np.mean(list(side["per_class"].values())), abs=1e-3)
    few, most = report["curve"]
    # Of one clip a class none can be left out.
    assert few["model"]["leave_one_out"] is None and few["model"]["leave_one_out_error"] is None
    assert most["model"]["leave_one_out"] >= 0.9 and most["model"]["leave_one_out_error"] <= 0.1
    text = as_text({"model": "vivit-mannequin"} | json.loads(json.dumps(report)))
    assert text.startswith(
        "vivit-mannequin: 3 actions that it was not trained on, 120 new clips, draws of clips that are taught: 2"
    )
    assert all(label in text for label in THREE)


def test_draws_share_no_clip(model: VivitForVideoClassification, monkeypatch: pytest.MonkeyPatch) -> None:
    features = clouds(model, 20, 2.0, 0)
    seen = []

    def fit(model: VivitForVideoClassification, some: np.ndarray, labels: list[str], *, seed: int) -> Taught:
        seen.append({one.tobytes() for one in some})
        assert labels == [label for label in THREE for _ in range(len(labels) // 3)]
        return fit_head(model, some, labels, seed=seed)

    monkeypatch.setattr(teach, "fit_head", fit)
    measure([features, features], [1, 2], draws=3, seed=0)
    fewer, more = seen[:3], seen[6:9]
    assert len(set.union(*more)) == 3 * 3 * 2 and all(a < b for a, b in zip(fewer, more, strict=True))


def test_random_weights_are_the_same_for_a_seed_and_leave_chance_as_it_was(model: VivitForVideoClassification) -> None:
    before = torch.random.get_rng_state()
    one, same, other = (with_random_weights(model, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    name = "vivit.layers.0.output.weight"
    assert torch.equal(one[name], same[name]) and not torch.equal(one[name], other[name])
    assert not torch.equal(one[name], model.state_dict()[name])


@pytest.mark.full
def test_clips_are_rendered_once_for_both_models(
    model: VivitForVideoClassification, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "SAMPLES", 1)
    monkeypatch.setattr(teach, "LABELS", LABELS[:2])
    rendered = []

    def told(label: str, *rest: Any) -> Iterator[np.ndarray]:
        rendered.append(label)
        return clips_as_tensors(label, *rest)

    monkeypatch.setattr("mannequin.calibrate.clips_as_tensors", told)
    image_processor = VivitImageProcessor.from_pretrained(evaluate.CHECKPOINT)
    models = (model, with_random_weights(model, 0))
    ours, random = take_features(models, image_processor, labels=THREE[:2], taught=2, new=1, outside=1, seed=0)
    assert rendered == [*THREE[:2], *THREE[:2], *LABELS[:2]]
    for features in (ours, random):
        assert [some.shape for some in features.taught.values()] == [(2, 192)] * 2
        assert [some.shape for some in features.new.values()] == [(1, 192)] * 2 and features.outside.shape == (2, 192)
    # The model's own head names right what the model was trained on.
    assert int(model.classifier(torch.as_tensor(ours.outside))[1].argmax()) == 1


@pytest.mark.full
def test_a_head_that_was_taught_from_five_clips_knows_new_ones(
    model: VivitForVideoClassification, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "SAMPLES", 1)
    models = (model, with_random_weights(model, 0))
    image_processor = VivitImageProcessor.from_pretrained(evaluate.CHECKPOINT)
    features = take_features(models, image_processor, labels=list(NOVEL), taught=5, new=5, outside=0, seed=0)
    (found,) = measure(features, [5], draws=1, seed=0)["curve"]
    assert found["model"]["accuracy"] >= 0.7
    assert found["model"]["accuracy"] - found["random_weights"]["accuracy"] >= 0.15


def test_clips_are_written_into_class_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teach, "VIDEO_FPS", 1.0)
    monkeypatch.setattr(render_video, "__defaults__", (96, *(render_video.__defaults__ or ())[1:]))
    write_clips(tmp_path, labels=THREE[:2], taught=2, new=1, seed=0, device="cpu")
    for name, clips, seeds in (("taught", 2, TAUGHT_SEEDS), ("new", 1, NEW_SEEDS)):
        for label in THREE[:2]:
            files = sorted((tmp_path / name / label).iterdir())
            assert [file.name for file in files] == [f"{seed}.mp4" for seed in seeds_of(label, clips, 0, seeds)]
            assert (probe(files[0]).width, probe(files[0]).height) == (128, 96)
    assert sorted(path.name for path in tmp_path.glob("*/*")) == sorted(THREE[:2] * 2)


@pytest.mark.full
def test_the_command_needs_no_media_and_no_page_and_says_what_it_cannot_do() -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(['av', 'streamlit', 'plotly']))"
    program = f"{blocked}; import mannequin.teach as t; sys.argv = ['teach', '--clips-a-class', '0']; t.main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2 and "give numbers of clips" in done.stderr
