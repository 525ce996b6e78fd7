"""The real media and model workers: clips in, frames and answers out."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine import Engine, Job
from engine.tasks import Classification, Classify, Frames, MakePreview, MakeThumbnail, ReadFrames
from tests.clips import read_number, write_clip
from tests.engine.waiting import app_engine, done
from tests.patience import until
from tests.unusable import UNUSABLE, stating
from ui.server import WORKERS
from vivit import VivitConfig, VivitForVideoClassification, VivitImageProcessor, pipeline
from vivit.benchmark.first_calls import known
from vivit.benchmark.measurement import Cell
from vivit.benchmark.memory import weights_bytes
from vivit.checkpoint import RANDOM
from vivit.video import probe


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with app_engine("media", "model") as engine:
        yield engine


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model that takes 8 frames of 64 × 64."""
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    config = VivitConfig(
        image_size=64,
        num_frames=8,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=96,
        initializer_range=0.2,
        num_labels=7,
    )
    VivitForVideoClassification(config).save_pretrained(folder)
    VivitImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "numbers.mp4", 57, size=(64, 64))


def read(engine: Engine, checkpoint: Path, path: Path) -> Job[Frames]:
    return engine.ask(ReadFrames(str(path), str(checkpoint)))


def classify(engine: Engine, checkpoint: Path, frames: Job[Frames], **changes: Any) -> Job[Classification]:
    usual = Classify(str(checkpoint), "sdpa", "float32", "checkpoint", 3, frames.result.shape)
    return engine.ask(replace(usual, **changes), [frames.blobs[0]])


def test_the_frames_that_cross_the_wall_are_those_that_were_chosen(
    engine: Engine, checkpoint: Path, clip: Path
) -> None:
    frames = done(read(engine, checkpoint, clip))
    pixels = np.frombuffer(frames.blobs[0], np.uint8).reshape(frames.result.shape)
    assert [read_number(p) for p in pixels] == [*frames.result.indices] == [0, 8, 16, 24, 32, 40, 48, 56]
    assert len(frames.blobs) == 1 + 8 and all(jpeg[:2] == b"\xff\xd8" for jpeg in frames.blobs[1:])
    timings = frames.result.timings_ms
    assert timings.probe > 0 and timings.decode > 0 and timings.preprocess > 0


def test_the_answer_is_the_librarys_answer(engine: Engine, checkpoint: Path, clip: Path) -> None:
    expected = pipeline("video-classification", model=checkpoint, device="cpu")(clip, top_k=3)
    frames = done(read(engine, checkpoint, clip))
    for attention in ("eager", "sdpa", "sdpa-math", "sdpa-flash"):
        found = done(classify(engine, checkpoint, frames, attention=attention)).result
        assert [p.label for p in found.predictions] == [p["label"] for p in expected]
        # Another summation order in every backend, in float32.
        assert [p.score for p in found.predictions] == pytest.approx([p["score"] for p in expected], abs=1e-5)
        assert found.latency_ms > 0 and found.samples_ms and found.peak_bytes > 0


def test_the_answer_of_several_views_is_the_librarys(engine: Engine, checkpoint: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "wide.mp4", 57, size=(96, 64))
    frames = done(engine.ask(ReadFrames(str(clip), str(checkpoint), stride=3, views="2x3")))
    found = done(classify(engine, checkpoint, frames, views=6)).result
    expected = pipeline("video-classification", model=checkpoint, device="cpu")(clip, top_k=3, views="2x3", stride=3)
    assert [p.label for p in found.predictions] == [p["label"] for p in expected]
    # One batch sums in another order than passes of one view.
    assert [p.score for p in found.predictions] == pytest.approx([p["score"] for p in expected], abs=1e-5)
    shown = frames.result
    assert str(shown.views) == "2x3" and [*shown.indices] == expected.indices == [*range(0, 24, 3), *range(33, 57, 3)]
    assert [(left, right) for left, _, right, _ in shown.crop_boxes] == [(0, 64), (16, 80), (32, 96)]
    views = np.frombuffer(frames.blobs[0], np.uint8).reshape(6, *shown.shape)
    assert len(frames.blobs) == 1 + 6 * 8
    for jpeg, pixels in zip(frames.blobs[1:], views.reshape(-1, *shown.shape[1:]), strict=True):
        assert np.abs(np.asarray(Image.open(BytesIO(jpeg))).astype(int) - pixels).mean() < 3, "JPEG loses little"


def test_the_original_normalisation_is_the_processors_without_the_second_one(
    engine: Engine, checkpoint: Path, clip: Path
) -> None:
    processor = VivitImageProcessor.from_pretrained(checkpoint, do_normalize=False)
    expected = pipeline("video-classification", model=checkpoint, image_processor=processor, device="cpu")(clip)
    found = done(classify(engine, checkpoint, done(read(engine, checkpoint, clip)), normalisation="original")).result
    assert found.predictions[0].score == pytest.approx(expected[0]["score"], abs=1e-5)


def test_half_weights_take_half_the_memory(engine: Engine, checkpoint: Path, clip: Path) -> None:
    frames = done(read(engine, checkpoint, clip))
    whole = done(classify(engine, checkpoint, frames)).result.weights_bytes
    half = done(classify(engine, checkpoint, frames, precision="float16")).result.weights_bytes
    eight = done(classify(engine, checkpoint, frames, precision="int8-bitsandbytes")).result.weights_bytes
    assert eight == weights_bytes(VivitConfig.from_pretrained(checkpoint), "int8-bitsandbytes") < whole
    assert half * 2 == whole


@pytest.mark.full
def test_a_compiled_answer_is_the_same_and_what_compiling_took_is_kept(
    engine: Engine, checkpoint: Path, clip: Path
) -> None:
    frames = done(read(engine, checkpoint, clip))
    until(lambda: engine.hello("model") is not None)
    machine, config = engine.hello("model"), VivitConfig.from_pretrained(checkpoint)
    cell = Cell(str(checkpoint), execution="compiled")
    assert known(machine, config, cell) is None
    plain = done(classify(engine, checkpoint, frames)).result
    job, notes = classify(engine, checkpoint, frames, execution="compiled"), set()
    while not job.wait(0.05):
        notes.add(job.note)
    found, call = done(job).result, known(machine, config, cell)
    assert "Compiling the model, about 17 s" in notes
    assert call and call.seconds > 0.1 and call.seconds * 1e3 > found.latency_ms
    assert [p.label for p in found.predictions] == [p.label for p in plain.predictions]
    # Float32 in another order.
    assert [p.score for p in found.predictions] == pytest.approx([p.score for p in plain.predictions], abs=1e-5)
    assert found.warm and found.first_ms < 1e3 * call.seconds, "what is timed has been made before"
    again = done(classify(engine, checkpoint, frames, execution="compiled"))
    assert again.result.predictions == found.predictions and known(machine, config, cell) == call


def test_what_cannot_run_here_says_why(engine: Engine, checkpoint: Path, clip: Path) -> None:
    job = classify(engine, checkpoint, done(read(engine, checkpoint, clip)), attention="sdpa-cudnn")
    assert job.wait(180) and job.state == "failed"
    assert "runs on CUDA GPUs only" in job.error and "AttentionUnavailable" in job.details
    job = classify(engine, checkpoint, done(read(engine, checkpoint, clip)), execution="captured")
    assert job.wait(180) and job.state == "failed"
    assert job.error.startswith("'captured' is a CUDA graph, and there is none on 'cpu'")


def test_what_does_not_fit_into_memory_says_what_to_try_and_the_next_job_runs(checkpoint: Path, clip: Path) -> None:
    """As on a machine with little memory: the worker may have what a small model takes, and ViT-B's weights, no more."""
    engine = Engine({"media": WORKERS["media"], "model": replace(WORKERS["model"], memory_limit_bytes=2 * 2**30)})
    engine.start()
    try:
        large = done(read(engine, Path(RANDOM), clip))
        job = classify(engine, Path(RANDOM), large, attention="eager")
        assert job.wait(180) and job.state == "failed", job
        assert "does not fit into this machine's memory. Try sdpa" in job.error
        assert done(classify(engine, checkpoint, done(read(engine, checkpoint, clip)))).result.predictions
    finally:
        engine.stop()


@pytest.mark.parametrize("checkpoint_name", ["no/such/folder/here", "empty"])
def test_a_checkpoint_that_is_none_says_so(engine: Engine, clip: Path, tmp_path: Path, checkpoint_name: str) -> None:
    (tmp_path / "empty").mkdir()
    job = read(engine, tmp_path / checkpoint_name, clip)
    assert job.wait(180) and job.state == "failed"
    assert "config.json" in job.error or "no folder" in job.error, job.error


@pytest.mark.parametrize("fault", UNUSABLE)
def test_a_folder_that_cannot_be_used_says_why(
    engine: Engine, checkpoint: Path, clip: Path, tmp_path: Path, fault: str
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "theirs")
    change, words = UNUSABLE[fault]
    usable = done(read(engine, folder, clip))
    change(folder)
    # The second job is as after a change of the folder since its frames were read.
    for job in (read(engine, folder, clip), classify(engine, folder, usable)):
        assert job.wait(180) and job.state == "failed"
        assert all(word in job.error for word in words) and "theirs" in job.error, job.error
        assert job.error.endswith(".") and "\n" not in job.error and "Something went wrong" not in job.error


def test_weights_that_do_not_fit_are_one_sentence(engine: Engine, checkpoint: Path, clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "theirs")
    stating("config.json", num_hidden_layers=3)(folder)
    job = classify(engine, folder, done(read(engine, folder, clip)))
    assert job.wait(180) and job.state == "failed"
    assert "does not fit the model" in job.error and job.error.endswith(".") and "\n" not in job.error
    assert "encoder.layer.2" in job.details


def test_a_model_that_has_changed_since_its_frames_were_read_says_so(
    engine: Engine, checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "theirs")
    usable = done(read(engine, folder, clip))
    VivitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    config = VivitConfig.from_pretrained(folder, image_size=32)
    VivitForVideoClassification(config).save_pretrained(folder)
    job = classify(engine, folder, usable)
    assert job.wait(180) and job.state == "failed"
    assert job.error.startswith("The model of this checkpoint cannot be used: ") and "64" in job.error, job.error


def test_a_folder_without_a_processor_and_labels_from_1_is_used_as_its_model_takes_it(
    engine: Engine, checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "theirs")
    (folder / "preprocessor_config.json").unlink()
    names = ["one", "two", "three", "four", "five", "six", "seven"]
    stating("config.json", id2label={str(k): n for k, n in enumerate(names, 1)}, label2id=None)(folder)
    frames = done(read(engine, folder, clip))
    assert frames.result.shape == (8, 64, 64, 3)
    found = done(classify(engine, folder, frames, top_k=7)).result.predictions
    processor = VivitImageProcessor(size={"shortest_edge": 73}, crop_size={"height": 64, "width": 64})
    wanted = pipeline("video-classification", str(checkpoint), image_processor=processor, device="cpu")(clip, top_k=7)
    assert [p.label for p in found] == [names[int(p["label"].removeprefix("LABEL_"))] for p in wanted]
    assert [p.score for p in found] == pytest.approx([p["score"] for p in wanted], abs=1e-5)


@pytest.mark.parametrize(
    "name", ["mannequin/single_frame", "mannequin/single_frame@main", "vivit/assets/vivit-mannequin"]
)
def test_no_name_is_taken_for_a_folder_beside_the_server(engine: Engine, clip: Path, name: str) -> None:
    job = engine.ask(ReadFrames(str(clip), name))
    assert job.wait(180) and job.state == "failed" and not job.details
    assert "is not on this machine" in job.error or "no folder" in job.error


def test_errors_call_the_clip_this_clip(engine: Engine, checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "0123abcd.clip"
    path.write_bytes(b"no video at all")
    job = read(engine, checkpoint, path)
    assert job.wait(180) and job.state == "failed"
    assert job.error.startswith("This clip ") and "0123abcd" not in job.error


def test_a_preview_is_short_low_and_plays_everywhere(engine: Engine, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "long.avi", 330, codec="mpeg4", size=(640, 480), rate=30)
    made = tmp_path / "preview.mp4"
    made.write_bytes(done(engine.ask(MakePreview(str(source)))).blobs[0])
    info = probe(made)
    assert (info.codec, info.width, info.height) == ("h264", 480, 360)
    assert info.duration_seconds == pytest.approx(10, abs=0.1)


def test_the_truth_has_its_rank_among_all_classes(engine: Engine, checkpoint: Path, clip: Path) -> None:
    frames = done(read(engine, checkpoint, clip))
    labels = [p["label"] for p in pipeline("video-classification", str(checkpoint))(clip, top_k=7)]
    for rank, label in enumerate(labels, 1):
        result = done(classify(engine, checkpoint, frames, truth=label.lower())).result
        assert (result.truth, result.truth_rank) == (label.lower(), rank)
    assert done(classify(engine, checkpoint, frames, truth="juggling")).result.truth_rank is None
    assert done(classify(engine, checkpoint, frames)).result.truth_rank is None


def test_a_thumbnail_is_the_first_frame(engine: Engine, clip: Path) -> None:
    wide = write_clip(clip.with_name("wide.mp4"), 3, size=(128, 96))
    job = done(engine.ask(MakeThumbnail(str(wide))))
    with Image.open(BytesIO(job.blobs[0])) as picture:
        assert (picture.format, picture.size) == ("JPEG", (264, 198))
        assert read_number(np.asarray(picture)) == 0
