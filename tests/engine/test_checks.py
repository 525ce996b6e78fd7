"""Looks inside and their checks, with real workers: one pass, chains of jobs, others between them, cancelled, broken off."""

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from engine import Engine, Job, checks
from engine.checks import RunningCheck, start_deletion, start_orders
from engine.tasks import Classify, DeleteTubelets, DrawInside, LookedInside, LookInside, Probabilities, ReadFrames
from tests.engine.waiting import app_engine, done, state_of, worker
from tests.four_models import write_four
from tests.patience import until
from vivit.checkpoint import open_checkpoint
from vivit.explain import look, methods
from vivit.explain.counterfactuals import orders
from vivit.explain.deletion import CONTROLS, plan
from vivit.explain.maps import choose
from vivit.explain.passes import check_deletion, check_orders, whole_answer
from vivit.hub import ASSETS
from vivit.model import VivitForVideoClassification

MANNEQUIN = "vivit-mannequin"
CLIP = str(Path(ASSETS) / "clips" / "clean_and_jerk.mp4")
# A worker has as many threads as there are processors, and perhaps other batches: sums are taken in other orders.
RELATIVE, ABSOLUTE = 1e-4, 1e-5


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with app_engine("media", "model") as engine:
        yield engine


@pytest.fixture(scope="module")
def frames(engine: Engine) -> Job[Any]:
    return done(engine.ask(ReadFrames(CLIP, MANNEQUIN)))


@pytest.fixture(scope="module")
def looked(engine: Engine, frames: Job[Any]) -> Job[LookedInside]:
    return done(engine.ask(asked(frames), [frames.blobs[0]]))


def asked(frames: Job[Any], checkpoint: str = MANNEQUIN, attention: str = "sdpa") -> LookInside:
    return LookInside(checkpoint, attention, "float32", "checkpoint", frames.result.shape)


def maps_of(job: Job[LookedInside]) -> dict[str, np.ndarray]:
    shapes = job.result.shapes.items()
    return {
        name: np.frombuffer(blob, np.float32).reshape(shape)
        for (name, shape), blob in zip(shapes, job.blobs, strict=True)
    }


def here(frames: Job[Any]) -> tuple[VivitForVideoClassification, torch.Tensor]:
    """The model and the clip in this process."""
    checkpoint = open_checkpoint(MANNEQUIN)
    pixels = np.frombuffer(frames.blobs[0], np.uint8).reshape(frames.result.shape)
    clip = torch.from_numpy(checkpoint.processor.normalise(pixels))[None]
    return checkpoint.load(VivitForVideoClassification, dtype="float32", device="cpu"), clip


def test_one_pass_gives_the_answer_and_every_map(frames: Job[Any], looked: Job[LookedInside]) -> None:
    found, maps = looked.result, maps_of(looked)
    assert found.answer.label == "clean and jerk" and found.answer.score > 0.5 and found.known
    assert found.answer.same_score == found.answer.score and found.answer.familiar is True
    assert 1 <= found.at_once <= 16 and 0 < found.pass_seconds < 60
    assert {name: array.shape for name, array in maps.items()} == {
        "attention": (5, 3, 16, 8, 8),
        "rollout": (1, 1, 16, 8, 8),
    }
    model, clip = here(frames)
    wanted = look(model, clip, rollout=True)
    np.testing.assert_allclose(maps["attention"], wanted.maps["attention"][:, 0].numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(maps["rollout"][0, 0], wanted.rollout[0].numpy(), rtol=0, atol=1e-5)  # type: ignore[index]


def test_all_four_models_can_be_looked_into_and_random_weights_are_told(engine: Engine, tmp_path: Path) -> None:
    for kind, folder in write_four(tmp_path).items():
        read = done(engine.ask(ReadFrames(CLIP, str(folder))))
        job = done(engine.ask(asked(read, str(folder)), [read.blobs[0]]))
        config = open_checkpoint(str(folder)).config
        assert {*job.result.shapes} == {*methods(config), *(["time"] if kind == "encoder" else [])}
        for array in maps_of(job).values():
            assert np.isfinite(array).all() and (array >= 0).all()


def test_a_look_is_the_same_by_another_backend_and_leaves_nothing_behind(
    engine: Engine, frames: Job[Any], looked: Job[Any]
) -> None:
    eager = done(engine.ask(asked(frames, attention="eager"), [frames.blobs[0]]))
    for name, array in maps_of(eager).items():
        np.testing.assert_allclose(array, maps_of(looked)[name], rtol=0, atol=1e-5)
    request = Classify(MANNEQUIN, "sdpa", "float32", "checkpoint", 3, frames.result.shape)
    answer = done(engine.ask(request, [frames.blobs[0]])).result
    assert answer.predictions[0].score == pytest.approx(looked.result.answer.score, rel=RELATIVE, abs=ABSOLUTE)


def test_checks_run_to_their_ends_as_they_do_without_workers(
    engine: Engine, frames: Job[Any], looked: Job[Any]
) -> None:
    weights = choose(maps_of(looked)["attention"])
    deletion = start_deletion(engine, asked(frames), frames.blobs[0], looked.result, weights)
    changed = start_orders(engine, asked(frames), frames.blobs[0], looked.result)
    for running in (deletion, changed):
        done(running)
        assert running.progress == 1.0 and running.note == running.error == ""
    model, clip = here(frames)
    checkpoint = open_checkpoint(MANNEQUIN)
    familiarity = checkpoint.familiarity()
    whole, label = whole_answer(model, look(model, clip).features, checkpoint.labels, familiarity)
    wanted = check_deletion(model, clip, weights, whole.score, label, at_once=16)
    assert deletion.found and len(deletion.found.controls) == CONTROLS
    assert deletion.found.attended == pytest.approx(wanted.attended, rel=RELATIVE, abs=ABSOLUTE)
    for mine, theirs in zip(deletion.found.controls, wanted.controls, strict=True):
        assert mine == pytest.approx(theirs, rel=RELATIVE, abs=ABSOLUTE)
    other = check_orders(model, clip, whole, label, checkpoint.labels, familiarity, at_once=16)
    assert changed.found and [*changed.found.changed] == [*orders(32)]
    for name, answers in other.changed.items():
        for found, sought in zip(changed.found.changed[name], answers, strict=True):
            assert (found.label, found.familiar) == (sought.label, sought.familiar)
            assert found.score == pytest.approx(sought.score, rel=RELATIVE, abs=ABSOLUTE)


def slow(engine: Engine, frames: Job[Any], looked: Job[Any]) -> RunningCheck[Any]:
    """A check whose every clip is a job, so that there is a middle."""
    one = LookedInside(**vars(looked.result) | {"at_once": 1})
    weights = choose(maps_of(looked)["attention"])
    return start_deletion(engine, asked(frames), frames.blobs[0], one, weights)


def test_others_go_between_and_a_cancel_keeps_what_is_done(engine: Engine, frames: Job[Any], looked: Job[Any]) -> None:
    running = slow(engine, frames, looked)
    until(lambda: running.found is not None and len(running.found.controls) >= 2)
    request = Classify(MANNEQUIN, "sdpa", "float32", "checkpoint", 3, frames.result.shape)
    done(engine.ask(request, [frames.blobs[0]]))
    assert state_of(running) == "running", "it waits for one clip, not for all"
    running.cancel()
    assert running.wait(90)
    assert running.state == "cancelled" and running.found and running.note == ""
    assert 2 <= len(running.found.controls) < CONTROLS and 0 < running.progress < 1
    assert f"{len(running.found.controls)} controls" in running.found.sentence


def test_jobs_that_are_over_at_once_can_be_cancelled_too(frames: Job[Any], looked: Job[Any]) -> None:
    """On an accelerator each job is shorter than the time between two looks at whether the check was cancelled."""

    class Quick:
        asked = 0

        def ask(self, request: DeleteTubelets, blobs: list[bytes], **options: str) -> SimpleNamespace:
            self.asked += 1
            if self.asked == 7:
                running.cancel()
            result = Probabilities((0.5,) * request.masks[0])
            return SimpleNamespace(wait=lambda tick: True, state="done", result=result, seconds_ran=0.001)

    one = LookedInside(**vars(looked.result) | {"at_once": 1})
    running = RunningCheck(asked(frames), frames.blobs[0], one)
    masks = plan(choose(maps_of(looked)["attention"]))
    running.run(lambda: checks._deletion(Quick(), running, masks), "quick", "")  # type: ignore[arg-type]
    assert running.state == "cancelled" and running.found and len(running.found.controls) == 1


@pytest.mark.full
def test_a_worker_that_dies_in_the_middle_ends_the_check_with_a_sentence(
    engine: Engine, frames: Job[Any], looked: Job[Any]
) -> None:
    running = slow(engine, frames, looked)
    until(lambda: running.found is not None)
    worker("engine.model").kill()
    assert running.wait(180) and running.state == "failed"
    assert running.error and running.found is not None
    done(start_orders(engine, asked(frames), frames.blobs[0], looked.result))


def test_a_checkpoint_that_has_gone_is_a_sentence(engine: Engine, frames: Job[Any], looked: Job[Any]) -> None:
    running = start_orders(engine, asked(frames, "/nowhere"), frames.blobs[0], looked.result)
    assert running.wait(180) and running.state == "failed" and "nowhere" in running.error


def test_what_was_seen_is_drawn(engine: Engine, frames: Job[Any], looked: Job[Any]) -> None:
    weights = choose(maps_of(looked)["attention"])
    clip = frames.result
    request = DrawInside(clip.shape, weights.shape, clip.seconds, clip.duration_seconds, 0.6)
    strip, film = done(engine.ask(request, [frames.blobs[0], weights.tobytes()])).blobs
    picture = Image.open(io.BytesIO(strip))
    assert picture.format == "PNG" and picture.width > 4 * 128
    with av.open(io.BytesIO(film), "r") as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == 32
    width = pictures[0].shape[1]
    left, right = pictures[0][:, : width // 2 - 8], pictures[0][:, width // 2 + 8 :]
    assert left.mean() != pytest.approx(right.mean(), abs=1.0), "the original, and the map over it"
