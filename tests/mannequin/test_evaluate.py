"""The whole path at a small size: render, encode, read, classify. Accuracy itself is measured by `mannequin.evaluate`."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from mannequin import evaluate, renders
from mannequin.actions import LABELS
from mannequin.bundle import FPS
from mannequin.train import BUNDLED_SEEDS, EVALUATION_SEEDS, TRAINING_SEEDS, Recipe, config, train
from tests.shorter import some
from vivit.config import VivitConfig
from vivit.evaluate.passes import Classifier
from vivit.familiarity import load
from vivit.hub import ASSETS
from vivit.intervals import wilson
from vivit.model import VivitForVideoClassification
from vivit.preparing import prepare_clip
from vivit.processing import VivitImageProcessor
from vivit.video import probe

CLIPS = ASSETS / "clips"


def test_seeds_for_training_evaluation_and_bundled_clips_never_meet() -> None:
    ranges = sorted((r.start, r.stop) for r in (TRAINING_SEEDS, EVALUATION_SEEDS, BUNDLED_SEEDS))
    assert all(one[1] <= other[0] for one, other in pairwise(ranges))
    assert ranges[-1][1] <= 1 << 32  # torch's CPU generator looks at no more bits


def test_the_checkpoint_is_small_and_has_tokens_enough() -> None:
    config = VivitConfig.from_pretrained(evaluate.CHECKPOINT)
    assert config.num_tokens >= 1000
    assert tuple(config.id2label.values()) == LABELS
    assert sum(file.stat().st_size for file in evaluate.CHECKPOINT.iterdir()) <= 10 << 20


def classifier(batch_size: int = evaluate.BATCH) -> Classifier:
    model = VivitForVideoClassification.from_pretrained(evaluate.CHECKPOINT)
    processor = VivitImageProcessor.from_pretrained(evaluate.CHECKPOINT)
    return Classifier(model, processor, batch_size, load(evaluate.CHECKPOINT))


def single_frame_model() -> VivitForVideoClassification:
    return VivitForVideoClassification.from_pretrained(evaluate.SINGLE_FRAME_CHECKPOINT)


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the pixels of the files that accuracy is measured on, to be quick."""
    monkeypatch.setattr(renders, "VIDEO_FPS", 6.0)
    monkeypatch.setattr(renders.render_video, "__defaults__", (96, *(renders.render_video.__defaults__ or ())[1:]))


@pytest.mark.full
def test_freshly_rendered_clips_are_classified_through_video_files(small_files: None, tmp_path: Path) -> None:
    report, records = evaluate.evaluate(classifier(), single_frame_model(), len(LABELS), 9, tmp_path)
    # By chance 1 of 36 would be right.
    assert sum(record.right for record in records) >= 30
    assert report["top1"] == pytest.approx(sum(record.right for record in records) / len(LABELS), abs=1e-4)
    assert report["unfamiliar"] <= 8 / 36
    assert report["shuffled_top1"] < report["top1"]
    assert report["top1_interval"] == [round(bound, 4) for bound in wilson(sum(r.right for r in records), len(LABELS))]


def test_every_bundled_clip_is_like_kinetics_and_named_right() -> None:
    model = VivitForVideoClassification.from_pretrained(evaluate.CHECKPOINT)
    processor = VivitImageProcessor.from_pretrained(evaluate.CHECKPOINT)
    familiarity = load(evaluate.CHECKPOINT)
    assert familiarity
    listed = json.loads((CLIPS / "clips.json").read_text(encoding="utf-8"))
    assert [clip["label"] for clip in listed] == list(LABELS)
    assert sum((CLIPS / clip["file"]).stat().st_size for clip in listed) <= 8 << 20
    for clip in listed:
        assert clip["seed"] in BUNDLED_SEEDS
        info = probe(CLIPS / clip["file"])
        assert (info.codec, info.width, info.height) == ("h264", 340, 256)
        assert 5 * FPS <= info.num_frames <= 8 * FPS
        with torch.inference_mode():
            pixels = processor.normalise(prepare_clip(CLIPS / clip["file"], 32, processor).pixels)
            features = model.features(torch.as_tensor(pixels))
            assert model.config.id2label[int(model.classifier(features).argmax())] == clip["label"]
        assert familiarity.is_familiar(features[0].numpy())


@pytest.mark.parametrize("through", some(["tensors", "H.264"], "H.264"))
def test_the_report_has_what_it_promises(
    through: str, small_files: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(evaluate, "SAMPLES", 1)
    folder = tmp_path if through == "H.264" else None
    report, records = evaluate.evaluate(classifier(2), single_frame_model(), 3, 9, folder)
    names = "top1 repeated_frame_top1 shuffled_top1 single_frame_model_top1 motion_top1 motion_single_frame_model_top1"
    assert set(names.split()) <= set(report) and all(0 <= report[name] <= 1 for name in names.split())
    assert report["through"] == through and set(report["per_class"]) == set(LABELS[:3])
    assert [record.target for record in records] == [0, 1, 2]
    confusion = evaluate.confusion_of(records)
    assert confusion.sum() == 3 and confusion[3:].sum() == 0
    assert evaluate.as_text(json.loads(json.dumps(report))).startswith(f"3 clips, seed 9, through {through}")
    evaluate.draw_confusion(confusion, tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_training_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mannequin.train.PIXELS", 16)
    monkeypatch.setattr("mannequin.train.SAMPLES", 1)
    recipe = Recipe(steps=2, batch=2, pool=2, fresh=1, warmup=1, learning_rate=0.0)
    cpu = torch.device("cpu")
    shapes = {"": config(factorization="encoder", heads=4), "single_frame": config(2)}
    train(recipe, tmp_path, shapes, cpu, minutes=1e6)
    first = VivitForVideoClassification.from_pretrained(tmp_path).state_dict()
    train(Recipe(**(vars(recipe) | {"steps": 3})), tmp_path, shapes, cpu, minutes=1e6)
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert [line["step"] for line in progress["curve"]] == [2, 3]
    # With no learning rate the weights stay what they were, so they were taken up and not drawn anew.
    second = VivitForVideoClassification.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (tmp_path / "single_frame" / "model.safetensors").is_file()
