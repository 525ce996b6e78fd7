"""Evaluations with real workers: right answers, bad clips, others between, cancelled, kept, a worker killed."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engine import Engine, Job, WorkerSpec, jobs
from engine.evaluations import CellAsked, Evaluations, ToEvaluate
from engine.tasks import Classify, FindClips, HubState, ListClips, ReadFrames
from tests.engine.waiting import done, state_of, worker
from tests.hub_server import HubServer, Repository
from tests.patience import until
from tests.vivit.evaluate.kept import kept
from ui.server import WORKERS
from vivit.checkpoint import open_checkpoint
from vivit.evaluate.agreement import agree
from vivit.evaluate.journal import source_of
from vivit.evaluate.kept import list_kept, save
from vivit.evaluate.labels import labelled, match_labels
from vivit.evaluate.records import Asked
from vivit.evaluate.sources import Found, find_clips, found_in
from vivit.evaluate.summary import summarise
from vivit.hub import ASSETS
from vivit.pipelines import pipeline
from vivit.records import from_json

MANNEQUIN = "vivit-mannequin"
DATASET = "nateraw/kinetics-mini"
CLIPS = Path(ASSETS) / "clips"
SDPA = Asked(MANNEQUIN, 0, batch_size=0)
EAGER = replace(SDPA, attention="eager")


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    """Has a dataset of two clips."""
    server = HubServer()
    files = {f"val/{label}/1.mp4": (CLIPS / f"{label}.mp4").read_bytes() for label in ("applauding", "jogging")}
    server.datasets[DATASET] = Repository(files)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def engine(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The app's own workers, and one for both of those that ask the Hub."""
    cache = str(tmp_path_factory.mktemp("hub"))
    environment = {"HF_ENDPOINT": hub.address(), "HF_HOME": cache, "HF_HUB_OFFLINE": "0"}
    built = Engine(
        {name: WORKERS[name] for name in ("media", "model")}
        | {"download-clip": WorkerSpec("engine.hub", environment=environment, hello=HubState)}
    )
    built.start()
    yield built
    built.stop()


@pytest.fixture
def evaluations(engine: Engine, tmp_path: Path) -> Evaluations:
    return Evaluations(engine, tmp_path / "results")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six files in class folders: one lies in a class that it does not show, and one is no clip."""
    root = tmp_path_factory.mktemp("clips")
    for label in ("applauding", "cartwheeling", "chopping wood", "jogging"):
        (root / label).mkdir()
        shutil.copy(CLIPS / f"{label.replace(' ', '_')}.mp4", root / label)
    shutil.copy(CLIPS / "jogging.mp4", root / "applauding" / "in truth jogging.mp4")
    (root / "jogging" / "notes.mp4").write_text("these are notes\n" * 50)
    return root


def to_evaluate(engine: Engine, found: Found, *cells: Asked) -> ToEvaluate:
    labels = open_checkpoint(MANNEQUIN).labels
    matching = match_labels([label for _, label in found.clips], labels)
    clips = labelled(found, matching)
    until(lambda: engine.hello("model"))
    return ToEvaluate(
        found,
        source_of(found, clips, matching),
        found.clips,
        tuple(CellAsked(asked, labels, matching.targets) for asked in cells),
        engine.hello("model"),
    )


def many(times: int) -> Found:
    """The bundled clips over and over, which nobody waits for."""
    found = find_clips("bundled")
    return replace(found, clips=found.clips * times)


def test_every_clip_is_classified_once_by_every_cell_and_kept(
    engine: Engine, evaluations: Evaluations, folder: Path, tmp_path: Path
) -> None:
    job: Job[Found] = engine.ask(FindClips(str(folder)))
    done(job)
    running = done(evaluations.start(to_evaluate(engine, job.result, SDPA, EAGER), "me"))
    ours, theirs = (cell.records for cell in running.cells)
    for records in (ours, theirs):
        assert [(r.index, r.path, r.label) for r in records] == [(k, *clip) for k, clip in enumerate(job.result.clips)]
        wrong = [record for record in records if not record.right]
        assert {record.path: bool(record.error) for record in wrong} == {
            "applauding/in truth jogging.mp4": False,
            "jogging/notes.mp4": True,
        }
    classify = pipeline("video-classification", model=MANNEQUIN)
    for record in ours:
        if record.error:
            assert "plain text" in record.error and record.error.endswith(".")
            continue
        wanted = classify(str(folder / record.path), top_k=5)
        assert [guess.label for guess in record.top] == [answer["label"] for answer in wanted]
        assert [guess.score for guess in record.top] == pytest.approx([one["score"] for one in wanted], abs=2e-5)
        assert record.familiar and record.decode_seconds > 0 and record.model_seconds > 0
    (kept,) = evaluations.kept()
    assert kept == running.kept and list_kept(tmp_path / "results") == [kept] and kept.whole and kept.reference == 1
    assert [e.asked.batch_size for e in kept.evaluations] == [1, 1] and kept.evaluations[0].asked.device == "cpu"
    summary = summarise(ours, kept.evaluations[0].id2label)
    assert (summary.clips, summary.failed, summary.top1.value) == (6, 1, 0.8)
    assert agree(ours, theirs).clips == 5 and not agree(ours, theirs).changed
    times = kept.times
    assert 0 < times.model < times.total and times.clips + times.others + times.model + times.rest == pytest.approx(
        times.total
    )
    evaluations.delete(kept.id)
    assert not evaluations.kept() and not list_kept(tmp_path / "results")


def test_others_go_between_and_a_cancel_keeps_what_is_done(
    engine: Engine, evaluations: Evaluations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "CANCEL_GRACE", 60.0)  # however busy the machine is
    running = evaluations.start(to_evaluate(engine, many(50), SDPA), "me")
    until(lambda: running.done >= 3)
    frames = engine.ask(ReadFrames(str(CLIPS / "jogging.mp4"), MANNEQUIN))
    assert frames.wait(180)
    request = Classify(MANNEQUIN, "sdpa", "float32", "checkpoint", 3, frames.result.shape)
    done(engine.ask(request, [frames.blobs[0]]))
    assert state_of(running) == "running", "they wait for a few clips, not for all"
    assert 0 < running.progress < 1 and running.seconds_left
    running.cancel()
    assert running.wait(90) and running.state == "cancelled"
    (kept,) = list_kept(tmp_path / "results")
    assert kept == running.kept and 3 <= kept.done < kept.clips and not kept.whole
    until(lambda: engine.idle("media") and engine.idle("model"))
    assert engine.restarts("model") == engine.restarts("media") == 0


def test_one_who_begins_another_ends_their_former_one(engine: Engine, evaluations: Evaluations) -> None:
    first = evaluations.start(to_evaluate(engine, many(50), SDPA, EAGER), "me")
    until(lambda: first.done and first.note == "classifying, eager float32")
    second = evaluations.start(to_evaluate(engine, replace(many(1), clips=many(1).clips[:2]), SDPA), "me")
    assert first.wait(90) and first.state == "cancelled"
    sdpa, eager = first.cells
    assert len(sdpa.records) == len(eager.records) > 0, "cells keep the same clips"
    done(second)


@pytest.mark.parametrize("module", ["engine.media", pytest.param("engine.model", marks=pytest.mark.full)])
def test_a_worker_that_is_killed_costs_no_clip(engine: Engine, evaluations: Evaluations, module: str) -> None:
    running = evaluations.start(to_evaluate(engine, many(1), SDPA), "me")
    until(lambda: running.done >= 2)
    worker(module).kill()
    done(running)
    (cell,) = running.cells
    assert [record.index for record in cell.records] == [*range(36)] and all(record.right for record in cell.records)


def test_a_cell_that_cannot_run_says_why_and_the_others_go_on(engine: Engine, evaluations: Evaluations) -> None:
    found = replace(many(1), clips=many(1).clips[:3])
    lacking = replace(SDPA, attention="sdpa-cudnn")
    running = done(evaluations.start(to_evaluate(engine, found, lacking, SDPA), "me"))
    assert running.cells[0].error.endswith(".") and not running.cells[0].records
    assert len(running.cells[1].records) == 3 and running.kept.errors == (running.cells[0].error, "")
    alone = evaluations.start(to_evaluate(engine, found, lacking), "me")
    assert alone.wait(180) and alone.state == "failed" and alone.error == running.cells[0].error
    assert alone.id not in [kept.id for kept in evaluations.kept()]
    stale = evaluations.start(to_evaluate(engine, found, replace(SDPA, checkpoint_written=1)), "me")
    assert stale.wait(180) and stale.state == "failed" and "was written anew" in stale.error


def test_without_a_disk_it_goes_on_and_says_so(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    evaluations = Evaluations(engine, tmp_path / "results")
    found = replace(many(1), clips=many(1).clips[:2])
    running = done(evaluations.start(to_evaluate(engine, found, SDPA), "me"))
    assert not running.saved and "download them" in running.error and evaluations.kept() == [running.kept]


@pytest.mark.full
def test_an_engine_that_stops_is_no_fault_of_clips_or_cells(tmp_path: Path) -> None:
    engine = Engine({name: WORKERS[name] for name in ("media", "model")})
    engine.start()
    evaluations = Evaluations(engine, tmp_path)
    running = evaluations.start(to_evaluate(engine, many(50), SDPA), "me")
    until(lambda: running.done >= 1)
    engine.stop()
    assert running.wait(180) and running.state != "done"
    (kept,) = list_kept(tmp_path)
    assert kept.errors == ("",) and not any(record.error for record in kept.evaluations[0].records)


def test_no_name_of_the_hub_is_taken_for_a_folder_here(engine: Engine) -> None:
    assert os.path.isdir("vivit/assets")
    job = engine.ask(FindClips("vivit/assets"))
    assert job.wait(180) and job.state == "failed" and "whole path" in job.error


def test_several_views_are_one_answer(engine: Engine, evaluations: Evaluations) -> None:
    found = replace(many(1), clips=many(1).clips[:1])
    running = done(evaluations.start(to_evaluate(engine, found, replace(SDPA, views="2x3")), "me"))
    (record,) = running.cells[0].records
    wanted = pipeline("video-classification", model=MANNEQUIN)(found.place(record.path), top_k=5, views="2x3")
    assert [guess.score for guess in record.top] == pytest.approx([one["score"] for one in wanted], abs=2e-5)


def test_clips_of_the_hub_are_downloaded_as_they_are_needed(engine: Engine, evaluations: Evaluations) -> None:
    listing = done(engine.submit("download-clip", ListClips.TASK, asdict(ListClips(DATASET))))
    found = found_in(from_json(ListClips.REPLY, listing.result), "val")
    assert found.clips == (("val/applauding/1.mp4", "applauding"), ("val/jogging/1.mp4", "jogging"))
    lost = replace(found, clips=(*found.clips, ("val/jogging/2.mp4", "jogging")))
    running = done(evaluations.start(to_evaluate(engine, lost, SDPA), "me"))
    here, there, nowhere = running.cells[0].records
    assert here.right and there.right and nowhere.error.endswith(".") and "2.mp4" in nowhere.error
    assert [record.path for record in running.cells[0].records] == [path for path, _ in lost.clips]
    assert (running.kept.dataset, running.kept.commit) == (DATASET, found.commit)


def test_evaluations_go_with_the_checkpoint_that_a_visitor_had_taught(evaluations: Evaluations, tmp_path: Path) -> None:
    other = kept({"sdpa float32": [0, 1]}, [0, 1])
    (one,) = other.evaluations
    asked = replace(one.asked, model=str(tmp_path / "lesson" / "taught-1" / "vivit-mannequin-taught"))
    theirs = replace(other, evaluations=(replace(one, asked=asked),), id="theirs")
    folder = tmp_path / "results"
    folder.mkdir()
    for each in (other, theirs):
        save(each, folder)
    assert {each.id for each in evaluations.kept()} == {other.id, "theirs"}
    evaluations.forget(tmp_path / "lesson")
    assert [each.id for each in evaluations.kept()] == [other.id] and len([*folder.iterdir()]) == 1


def test_one_that_takes_long_to_end_is_forgotten_too(
    engine: Engine, evaluations: Evaluations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = evaluations.start(to_evaluate(engine, many(50), replace(SDPA, model=str(ASSETS / MANNEQUIN))), "me")
    until(lambda: running.done >= 1)
    monkeypatch.setattr(running, "wait", lambda seconds: False)
    evaluations.forget(Path(ASSETS))
    monkeypatch.undo()
    assert running.wait(180) and running.state == "cancelled"
    assert not evaluations.kept() and evaluations.get(running.id) is None and not [*tmp_path.glob("results/*")]
