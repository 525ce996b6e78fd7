"""The hub worker as the app runs it: a real process, the real client, and a server that answers as the Hub does."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Job, WorkerSpec, jobs
from engine.messages import Request
from engine.tasks import DownloadCheckpoint, DownloadClip, HubState, InspectCheckpoint, ListClips
from tests.engine.waiting import done
from tests.hub_server import Fault, HubServer, Repository
from tests.patience import until
from vivit.hub import inspect_checkpoint
from vivit.records import from_json

STORAGE = "^storage GET"
WEIGHTS = bytes(range(256)) * 8000
CONFIG = b'{"model_type": "vivit", "architectures": ["VivitForVideoClassification"], "id2label": {"0": "a", "1": "b"}}'
NAME, DATASET = "google/vivit-b-16x2-kinetics400", "nateraw/kinetics-mini"
CLIPS = {f"val/{label}/{k}.mp4": f"{label} {k}".encode() for label in ("archery", "flying_kite") for k in (1, 2)}


@pytest.fixture
def server() -> Iterator[HubServer]:
    server = HubServer()
    server.models[NAME] = Repository({"config.json": CONFIG, "model.safetensors": WEIGHTS}, card={"license": "mit"})
    server.datasets[DATASET] = Repository(CLIPS)
    yield server
    server.stop()


@pytest.fixture
def start(server: HubServer, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Starts hub workers that share one cache."""
    engines: list[Engine] = []
    usual = {"HF_ENDPOINT": server.address(), "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}

    def begin(**environment: str) -> Engine:
        engines.append(Engine({"hub": WorkerSpec("engine.hub", environment=usual | environment, hello=HubState)}))
        engines[-1].start()
        return engines[-1]

    yield begin
    for engine in engines:
        engine.stop()


def ask(engine: Engine, request: Request[Any]) -> Job[Any]:
    """Queue a request with this engine's one worker, which takes every kind of request."""
    decode = partial(from_json, request.REPLY)
    return engine.submit("hub", request.TASK, asdict(request), decode=decode)


def test_a_checkpoint_from_the_first_look_to_offline(server: HubServer, start: Callable[..., Engine]) -> None:
    engine = start()
    found = done(ask(engine, InspectCheckpoint(NAME))).result
    assert (found.format, found.num_labels, found.licence, found.folder) == ("safetensors", 2, "mit", "")
    assert found.size_bytes == len(CONFIG) + len(WEIGHTS) and not server.seen(STORAGE)
    hello = engine.hello("hub")
    assert hello and (hello.endpoint, hello.offline, hello.cached) == (server.address(), False, ())

    server.faults = [Fault(STORAGE, pause=0.01)]
    job = ask(engine, DownloadCheckpoint(NAME))
    notes: set[str] = set()
    while not job.finished:
        notes.add(job.note)
        time.sleep(0.02)
    folder = done(job).result.folder
    assert any(re.fullmatch(r"\d\.\d of 2\.0 MB, \d\.\d MB/s, \d+ s left", note) for note in notes), notes
    assert (Path(folder) / "model.safetensors").read_bytes() == WEIGHTS

    server.stop()
    offline = start(HF_HUB_OFFLINE="1")
    found = done(ask(offline, DownloadCheckpoint(NAME))).result
    assert found.folder == folder and "copy on this machine" in found.notices[0]
    hello = offline.hello("hub")
    assert hello and hello.offline is True and hello.cached == (NAME,)


def test_a_cancelled_download_goes_on_where_it_stopped(
    server: HubServer, start: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "CANCEL_GRACE", 60.0)  # however busy the machine is
    engine = start()
    server.faults = [Fault(STORAGE, pause=0.02)]
    job = ask(engine, DownloadCheckpoint(NAME))
    until(lambda: job.progress > 0.2 or job.finished)
    engine.cancel(job)
    assert job.wait(90) and job.state == "cancelled"
    assert engine.restarts("hub") == 0
    server.faults = []
    server.requests.clear()
    done(ask(engine, DownloadCheckpoint(NAME)))
    [request] = server.seen(STORAGE)
    here = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert here > 0.15 * len(WEIGHTS) and sum(request.sent) == len(WEIGHTS) - here


def test_a_silent_hub_holds_nobody(server: HubServer, start: Callable[..., Engine]) -> None:
    engine = start()
    done(ask(engine, ListClips(DATASET)))
    server.faults = [Fault("api/models", silent=True)]
    job = ask(engine, InspectCheckpoint(NAME))
    until(lambda: server.seen("api/models"))
    engine.cancel(job)
    assert job.wait(90) and job.state == "cancelled"
    server.faults = []
    assert done(ask(engine, InspectCheckpoint(NAME))).result.num_labels == 2


def test_a_refusal_is_a_sentence(server: HubServer, start: Callable[..., Engine]) -> None:
    engine = start()
    server.faults = [Fault(STORAGE, times=1, status=429, headers={"Retry-After": "30"})]
    job = ask(engine, DownloadCheckpoint(NAME))
    assert job.wait(90) and job.state == "failed"
    assert "wait 30 seconds" in job.error and job.details.startswith("HubError: HfHubHTTPError")
    done(ask(engine, DownloadCheckpoint(NAME)))
    assert engine.restarts("hub") == 0


@pytest.mark.parametrize("kind", [InspectCheckpoint, DownloadCheckpoint])
def test_a_visitors_repository_is_never_a_folder_of_the_server(
    kind: Any, server: HubServer, start: Callable[..., Engine]
) -> None:
    """A folder of that very name lies beside the server, and holds a checkpoint."""
    name = "mannequin/single_frame"
    assert inspect_checkpoint(name).kind == "local", "which the library and the command line take"
    engine = start()
    job = ask(engine, kind(name))
    assert job.wait(90) and job.state == "failed" and "There is no public repository" in job.error
    assert server.seen(f"/api/models/{name}")
    server.models[name] = server.models[NAME]
    found = done(ask(engine, kind(name))).result
    assert found.kind == "hub" and found.num_labels == 2


def test_a_clip_of_an_older_listing_does_not_move_the_dataset_back(
    server: HubServer, start: Callable[..., Engine], tmp_path: Path
) -> None:
    engine, file = start(), "val/archery/1.mp4"
    old = done(ask(engine, ListClips(DATASET))).result
    done(ask(engine, DownloadClip(DATASET, file, old.commit, old.asked)))
    reference = tmp_path / "hub" / f"datasets--{DATASET.replace('/', '--')}" / "refs" / "main"
    assert reference.read_text() == old.commit
    server.datasets[DATASET].commit(CLIPS | {"val/archery/3.mp4": b"archery 3"})
    new = done(ask(engine, ListClips(DATASET))).result
    done(ask(engine, DownloadClip(DATASET, file, new.commit, new.asked)))
    assert reference.read_text() == new.commit != old.commit
    done(ask(engine, DownloadClip(DATASET, "val/archery/2.mp4", old.commit, old.asked)))  # from a page left open
    assert reference.read_text() == new.commit


def test_clips_with_their_ground_truth(server: HubServer, start: Callable[..., Engine]) -> None:
    engine = start()
    listed = done(ask(engine, ListClips(DATASET))).result
    assert [(c.split, c.label, c.file) for c in listed.clips] == [
        (*file.split("/")[:2], file) for file in sorted(CLIPS)
    ]
    wanted = DownloadClip(DATASET, "val/flying_kite/2.mp4", listed.commit, listed.asked)
    clip = done(ask(engine, wanted)).result
    assert Path(clip.path).read_bytes() == b"flying_kite 2"
    assert (clip.clip.label, clip.clip.split, clip.clip.cached) == ("flying_kite", "val", True)
    assert done(ask(engine, wanted)).result.path == clip.path
    assert len(server.seen(STORAGE)) == 1
