"""Teaching with real workers: a checkpoint, bad clips, what is kept, a worker killed; and how visitors' clips are bounded."""

import os
import resource
import statistics
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
import torch

from engine import Engine, Job
from engine import lessons as lessons_module
from engine.class_names import MOST_LETTERS
from engine.lessons import (
    MOST_CLASSES,
    MOST_CLIP_SECONDS,
    Lessons,
)
from engine.tasks import Classify, ReadFrames
from engine.teachings import MOST_MODELS, Example, TaughtClass, TeachAsked, _forget_some, examples_of
from tests.clips import write_clip
from tests.engine.waiting import done, worker
from tests.patience import until
from ui.server import WORKERS
from vivit.checkpoint import open_checkpoint
from vivit.errors import UserError
from vivit.hub import ASSETS
from vivit.model import VivitForVideoClassification
from vivit.preparing import prepare_clip
from vivit.teach.features import KeptFeatures
from vivit.teach.heads import fit_head
from vivit.teach.taking import look_of
from vivit.timeline.trained import TrainedWindow, trained_window

ME = "me"
CLIPS = Path(ASSETS) / "clips"
ALL = sorted(CLIPS.glob("*.mp4"))
MANNEQUIN = TeachAsked("vivit-mannequin")


class Counting(Engine):
    """An engine that counts what is asked of it. Args: asked: task → blobs that went with its jobs, 1 for a job without."""

    asked: Counter[str]

    def ask(self, request: Any, blobs: Sequence[bytes] = (), **options: Any) -> Job[Any]:
        self.asked[request.TASK] += len(blobs) or 1
        return super().ask(request, blobs, **options)


@pytest.fixture(scope="module")
def engine() -> Iterator[Counting]:
    built = Counting({name: WORKERS[name] for name in ("media", "model")})
    built.asked = Counter()
    built.start()
    yield built
    built.stop()


@pytest.fixture
def lessons(engine: Counting) -> Iterator[Lessons]:
    engine.asked.clear()
    built = Lessons(engine)
    yield built
    built.clear()


def fill(lessons: Lessons, **clips: Sequence[Path]) -> list[TaughtClass]:
    """Make classes of these clips."""
    for name, paths in clips.items():
        one = lessons.add_class(ME, name)
        for path in paths:
            lessons.add(ME, one.id, path.stem, path)
    return [*lessons.classes(ME)]


def files(lessons: Lessons) -> list[Path]:
    return [path for path in lessons._folder.path.rglob("*") if path.is_file()]


def test_two_classes_become_a_checkpoint_and_more_clips_the_next(
    engine: Counting, lessons: Lessons, tmp_path: Path
) -> None:
    broken, long = tmp_path / "notes.mp4", tmp_path / "long.mp4"
    broken.write_text("these are notes\n" * 50)
    write_clip(long, int(MOST_CLIP_SECONDS) + 2, rate=1)
    arms, legs = fill(lessons, arms=[*ALL[:3], broken, long], legs=ALL[3:5])
    running = lessons.teach(ME, MANNEQUIN)
    assert running is lessons.running(ME) and running.of == 7
    done(running)
    assert running.done == 7 and running.progress == 1 and running.classes == (arms, legs)
    assert set(running.faults) == {clip.id for clip in arms.examples[3:]}
    assert "plain text" in running.faults[arms.examples[3].id] and "62 s long" in running.faults[arms.examples[4].id]
    taught = lessons.taught(ME)
    assert taught and running.taught is taught and taught.number == 1 and taught.asked == MANNEQUIN
    assert taught.examples == arms.examples[:3] + legs.examples
    assert taught.report.classes == {"arms": 3, "legs": 2} and len(taught.report.left_out) == 5
    assert taught.report.feature_seconds > 0 and engine.asked["take_features"] == 5
    checkpoint = open_checkpoint(taught.folder)
    assert [*checkpoint.labels.values()] == ["arms", "legs"]
    window = trained_window(checkpoint)
    assert window and window == TrainedWindow(window.seconds, True)
    assert window.seconds == pytest.approx(statistics.median(map(seconds_of, ALL[:5])), abs=0.1)
    wanted = by_the_library(ALL[:5], ["arms"] * 3 + ["legs"] * 2)
    for path in ALL[2:4]:
        assert answer(engine, taught.folder, path) == pytest.approx(wanted[path], abs=2e-4)

    lessons.add(ME, legs.id, "another", ALL[5])
    lessons.move(ME, arms.examples[0].id, legs.id)
    lessons.remove(ME, arms.examples[4].id)
    lessons.rename_class(ME, arms.id, "hands")
    # A taught checkpoint stands for the model that it was made from, whose features are kept.
    again = done(lessons.teach(ME, TeachAsked(taught.folder))).taught
    assert again and again is lessons.taught(ME) and again.number == 2 and again.asked == MANNEQUIN
    assert again.report.classes == {"hands": 2, "legs": 4} and engine.asked["take_features"] == 6
    assert Path(again.folder).name == "vivit-mannequin-taught"
    assert Path(taught.folder).exists(), "pages may be at work with it"
    packed = lessons.archive(ME)
    assert packed.name == "vivit-mannequin-taught.zip" and lessons.archive(ME) == packed
    with zipfile.ZipFile(packed) as file:
        file.extractall(tmp_path)
    there = {path.name: path.read_bytes() for path in Path(again.folder).iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / packed.stem).iterdir()} == there
    done(lessons.teach(ME, MANNEQUIN))
    assert not Path(taught.folder).exists() and Path(again.folder).exists()
    lessons.drop(ME)
    assert not files(lessons) and lessons.taught(ME) is None and not lessons.classes(ME)


def seconds_of(path: Path) -> float:
    with av.open(str(path)) as file:
        return (file.duration or 0) / 1e6


def by_the_library(paths: Sequence[Path], labels: Sequence[str]) -> dict[Path, dict[str, float]]:
    """What a head says of the clips that it is fitted to, without the server: class → probability."""
    checkpoint = open_checkpoint(MANNEQUIN.checkpoint)
    model = checkpoint.load(VivitForVideoClassification)
    clips = [prepare_clip(path, checkpoint.config.num_frames, checkpoint.processor).pixels for path in paths]
    with torch.inference_mode():
        values = [torch.from_numpy(checkpoint.processor.normalise(clip)) for clip in clips]
        features = torch.cat([model.features(one) for one in values])
        taught = fit_head(model, features, labels, looks=np.stack([look_of(clip[0]) for clip in clips])).model
        scores = taught.classifier(features).softmax(-1)
    return {
        path: dict(zip(taught.config.id2label.values(), row.tolist(), strict=True))
        for path, row in zip(paths, scores, strict=True)
    }


def answer(engine: Engine, checkpoint: str, path: Path) -> dict[str, float]:
    """What the app says of a clip: class → probability."""
    frames = done(engine.ask(ReadFrames(str(path), checkpoint)))
    request = Classify(checkpoint, "sdpa", "float32", "checkpoint", 2, frames.result.shape)
    job = done(engine.ask(request, [frames.blobs[0]]))
    return {one.label: one.score for one in job.result.predictions or ()}


@pytest.mark.full
def test_a_killed_worker_costs_no_clip_and_what_was_cancelled_goes_on(engine: Counting, lessons: Lessons) -> None:
    fill(lessons, some=ALL[:18], others=ALL[18:36])
    first = lessons.teach(ME, MANNEQUIN)
    until(lambda: first.done >= 1)
    worker("engine.model").kill()
    until(lambda: first.done >= 4 or first.state != "running")
    first.cancel()
    assert first.wait(90) and first.state == "cancelled" and lessons.taught(ME) is None
    assert len(files(lessons)) == 36 + first.done, "clips and features are kept"
    engine.asked.clear()
    second = done(lessons.teach(ME, MANNEQUIN))
    assert second.done == 36 and not second.faults and second.taught and len(second.taught.examples) == 36
    assert engine.asked["take_features"] == 36 - first.done
    until(lambda: engine.idle("media") and engine.idle("model"))
    third = lessons.teach(ME, MANNEQUIN)
    fourth = done(lessons.teach(ME, MANNEQUIN))
    assert third.wait(90) and third.state in ("cancelled", "done") and fourth.taught
    assert lessons.taught(ME) is fourth.taught and fourth.taught.report.feature_seconds == 0.0


def test_a_checkpoint_that_the_disk_does_not_take_costs_no_clip(engine: Counting, lessons: Lessons) -> None:
    classes = fill(lessons, some=ALL[:2], others=ALL[2:4])
    before = done(lessons.teach(ME, MANNEQUIN)).taught
    model = worker("engine.model")
    soft, hard = model.rlimit(psutil.RLIMIT_FSIZE)
    model.rlimit(psutil.RLIMIT_FSIZE, (100_000, hard))
    try:
        failed = lessons.teach(ME, MANNEQUIN)
        assert failed.wait(180) and failed.state == "failed" and "no room for the checkpoint" in failed.error
    finally:
        model.rlimit(psutil.RLIMIT_FSIZE, (soft, hard))
    assert before and lessons.taught(ME) is before and [*lessons.classes(ME)] == classes
    assert [path for path in lessons._folder.path.rglob("taught-*")] == [Path(before.folder).parent]
    few = Lessons(engine, max_bytes=sum(path.stat().st_size for path in files(lessons)))
    fill(few, some=ALL[:2], others=ALL[2:4])
    taught = done(few.teach(ME, replace(MANNEQUIN, normalisation="transformers"))).taught
    assert taught and open_checkpoint(taught.folder).processor.do_normalize, "its processor makes what it was fitted to"
    with pytest.raises(UserError, match="no room for the packed"):
        few.archive(ME)
    few._max_bytes -= 1_000_000
    full = few.teach(ME, MANNEQUIN)
    assert full.wait(180) and full.state == "failed" and "no room for the checkpoint" in full.error
    assert few.taught(ME) is taught
    few.clear()


def test_nothing_is_left_of_who_leaves_meanwhile(engine: Counting, lessons: Lessons) -> None:
    fill(lessons, some=ALL[:2], others=ALL[2:4])
    running = lessons.teach(ME, MANNEQUIN)
    until(lambda: engine.asked["teach_head"])
    lessons.drop(ME)
    assert running.wait(90) and running.state == "cancelled"
    until(lambda: engine.idle("model"))
    assert not files(lessons)
    with pytest.raises(UserError, match="no checkpoint"):
        lessons.archive(ME)


def test_what_cannot_be_taught_says_why(lessons: Lessons, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two classes"):
        lessons.teach(ME, MANNEQUIN)
    broken = tmp_path / "notes.mp4"
    broken.write_text("these are notes\n" * 50)
    fill(lessons, empty=[], one=ALL[:1])
    with pytest.raises(UserError, match="two classes"):
        lessons.teach(ME, MANNEQUIN)
    fill(lessons, other=[broken])
    unread = lessons.teach(ME, MANNEQUIN)
    assert unread.wait(180) and unread.state == "failed" and "Fewer than two classes" in unread.error
    nowhere = lessons.teach(ME, TeachAsked(str(tmp_path / "no checkpoint")))
    assert nowhere.wait(180) and nowhere.state == "failed" and "no checkpoint" in nowhere.error
    lacking = lessons.teach(ME, TeachAsked("vivit-mannequin", "sdpa-cudnn"))
    assert lacking.wait(180) and lacking.state == "failed" and lacking.error.endswith(".")


def test_names_of_classes(lessons: Lessons) -> None:
    one = lessons.add_class(ME, "  Wave\n your\x00 \u202ehand ")  # with a mark that would turn what follows
    assert one.name == "Wave your hand" and lessons.classes(ME) == (one,)
    for name, said in (
        ("wave YOUR hand", "'Wave your hand' already"),
        ("wave your\u200d hand", "'Wave your hand' already"),
        (" \t\u200b", "needs a name"),
        ("x" * (MOST_LETTERS + 1), "Shorten it"),
    ):
        with pytest.raises(UserError, match=said):
            lessons.add_class(ME, name)
    lessons.rename_class(ME, one.id, "WAVE your hand")  # its own name is not in its way
    other = lessons.add_class(ME, "🙋‍♀️ *שלום*")
    with pytest.raises(UserError, match="already"):
        lessons.rename_class(ME, other.id, "wave your hand")
    assert [one.name for one in lessons.classes(ME)] == ["WAVE your hand", "🙋‍♀️ *שלום*"]
    assert lessons.add_class("you", "wave your hand") and len(lessons.classes(ME)) == 2
    for number in range(MOST_CLASSES - 2):
        lessons.add_class(ME, str(number))
    with pytest.raises(UserError, match=f"{MOST_CLASSES} classes"):
        lessons.add_class(ME, "one more")


def test_clips_are_private_bounded_and_there_once(
    engine: Counting, lessons: Lessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = fill(lessons, one=[], other=[])
    with ThreadPoolExecutor(4) as pool:
        tries = [pool.submit(lessons.add, ME, one.id, f"clip\n{k}", b"the same") for k in range(4)]
    assert sum(attempt.exception() is None for attempt in tries) == 1
    (clip,) = lessons.classes(ME)[0].examples
    assert Path(clip.path).read_bytes() == b"the same" and clip.name.startswith("clip ") and len(files(lessons)) == 1
    assert lessons._folder.path.stat().st_mode & 0o077 == 0, "nobody else may read them"
    with pytest.raises(UserError, match="already, in the class 'one'"):
        lessons.add(ME, other.id, "again", memoryview(b"the same"))
    with pytest.raises(UserError, match="no longer there"):
        lessons.add(ME, "another's", "x", b"x")
    with pytest.raises(UserError, match="no longer there"):
        lessons.add(ME, one.id, "x", tmp_path / "gone.mp4")
    small = Lessons(engine, max_bytes=10)
    theirs = small.add_class("you", "theirs")
    small.add("you", theirs.id, "x", bytes(6))
    mine = small.add_class(ME, "mine")
    with pytest.raises(UserError, match="no room"):
        small.add(ME, mine.id, "x", bytes(5))
    small.drop("you")
    assert small.add(ME, mine.id, "x", bytes(5)) and len(files(small)) == 1
    small.clear()
    assert not small._folder.path.exists()
    monkeypatch.setattr(lessons_module, "MOST_BYTES", 20)
    with pytest.raises(UserError, match="all of yours together"):
        lessons.add(ME, one.id, "x", bytes(13))
    monkeypatch.setattr(lessons_module, "MOST_CLIPS", 2)
    second = lessons.add(ME, other.id, "x", bytes(12))
    with pytest.raises(UserError, match="2 clips already"):
        lessons.add(ME, one.id, "x", b"y")
    lessons.remove(ME, clip.id)
    assert [path.name for path in files(lessons)] == [Path(second.path).name]
    lessons.remove_class(ME, other.id)
    assert not files(lessons) and [c.name for c in lessons.classes(ME)] == ["one"]


def test_a_clip_that_the_disk_does_not_take_is_gone_whole(lessons: Lessons) -> None:
    (one,) = fill(lessons, one=[])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000_000, hard))
    try:
        with pytest.raises(UserError, match="no room"):
            lessons.add(ME, one.id, "x", bytes(40_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not files(lessons) and lessons.classes(ME) == (one,)
    assert lessons.add(ME, one.id, "x", bytes(40_000_000))


def test_clips_that_can_be_used() -> None:
    a, b = (Example(id, f"/{id}", id) for id in "ab")
    classes = [TaughtClass("1", "one", (a, b)), TaughtClass("2", "two"), TaughtClass("3", "three", (b,))]
    assert examples_of(classes, {"a": "broken"}) == ([b, b], ["one", "three"])


def test_nothing_is_written_about_a_clip_that_was_removed_meanwhile(lessons: Lessons) -> None:
    (arms,) = fill(lessons, arms=ALL[:2])
    written: list[str] = []
    lesson = lessons._lessons[ME]
    lessons.remove(ME, arms.examples[0].id)
    for clip in arms.examples:
        lessons._keep(lesson, clip.id, lambda clip=clip: written.append(clip.id))  # type: ignore[misc]
    assert written == [arms.examples[1].id]


def test_features_by_the_models_that_were_used_longest_ago_are_forgotten(tmp_path: Path) -> None:
    for number in range(MOST_MODELS + 1):
        kept = KeptFeatures(tmp_path, {"model": number})
        kept.put("clip", np.zeros(3, np.float32))
        os.utime(kept._folder, (number, number))
    KeptFeatures(tmp_path, {"model": 0}).use()
    _forget_some(tmp_path)
    found = [KeptFeatures(tmp_path, {"model": number}).get("clip") is not None for number in range(MOST_MODELS + 1)]
    assert found == [True, False] + [True] * (MOST_MODELS - 1)
