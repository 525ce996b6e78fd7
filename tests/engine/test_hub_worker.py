"""The hub worker as the app runs it: a real process, the real client, and a server that answers as the Hub does."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Job, WorkerSpec
from tests.hub_server import Fault, HubServer, Repository, wait_for

STORAGE = "^storage GET"
WEIGHTS = bytes(range(256)) * 8000
CONFIG = b'{"model_type": "vivit", "architectures": ["VivitForVideoClassification"], "id2label": {"0": "a", "1": "b"}}'
NAME, DATASET = "google/vivit-b-16x2-kinetics400", "nateraw/kinetics-mini"
ASKED = {"name": NAME, "revision": None}
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
        engines.append(Engine({"hub": WorkerSpec("engine.hub", environment=usual | environment)}))
        engines[-1].start()
        return engines[-1]

    yield begin
    for engine in engines:
        engine.stop()


def done(job: Job) -> dict[str, Any]:
    assert job.wait(20) and job.state == "done", (job.state, job.error, job.details)
    return job.result


def test_a_checkpoint_from_the_first_look_to_offline(server: HubServer, start: Callable[..., Engine]) -> None:
    engine = start()
    found = done(engine.submit("hub", "inspect", ASKED))
    assert (found["format"], found["num_labels"], found["licence"], found["folder"]) == ("safetensors", 2, "mit", "")
    assert found["size_bytes"] == len(CONFIG) + len(WEIGHTS) and not server.seen(STORAGE)
    hello = engine.hello("hub")
    assert hello and (hello["endpoint"], hello["offline"], hello["cached"]) == (server.address(), False, [])

    server.faults = [Fault(STORAGE, pause=0.01)]
    job = engine.submit("hub", "download", ASKED)
    notes: set[str] = set()
    while not job.finished:
        notes.add(job.note)
        time.sleep(0.02)
    folder = done(job)["folder"]
    assert any(re.fullmatch(r"\d\.\d of 2\.0 MB, \d\.\d MB/s, \d+ s left", note) for note in notes), notes
    assert (Path(folder) / "model.safetensors").read_bytes() == WEIGHTS

    server.stop()
    offline = start(HF_HUB_OFFLINE="1")
    found = done(offline.submit("hub", "download", ASKED))
    assert found["folder"] == folder and "copy on this machine" in found["notices"][0]
    hello = offline.hello("hub")
    assert hello and hello["offline"] is True and hello["cached"] == [NAME]


def test_a_cancelled_download_goes_on_where_it_stopped(server: HubServer, start: Callable[..., Engine]) -> None:
    engine = start()
    server.faults = [Fault(STORAGE, pause=0.02)]
    job = engine.submit("hub", "download", ASKED)
    wait_for(lambda: job.progress > 0.2 or job.finished)
    engine.cancel(job)
    assert job.wait(2) and job.state == "cancelled"
    assert engine.restarts("hub") == 0
    server.faults = []
    server.requests.clear()
    done(engine.submit("hub", "download", ASKED))
    [request] = server.seen(STORAGE)
    here = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert here > 0.15 * len(WEIGHTS) and sum(request.sent) == len(WEIGHTS) - here


def test_a_silent_hub_holds_nobody(server: HubServer, start: Callable[..., Engine]) -> None:
    engine = start()
    done(engine.submit("hub", "list_clips", {"dataset": DATASET, "revision": None}))
    server.faults = [Fault("api/models", silent=True)]
    job = engine.submit("hub", "inspect", ASKED)
    wait_for(lambda: server.seen("api/models"))
    began = time.monotonic()
    engine.cancel(job)
    assert job.wait(3) and job.state == "cancelled" and time.monotonic() - began < 3
    server.faults = []
    assert done(engine.submit("hub", "inspect", ASKED))["num_labels"] == 2


def test_a_refusal_is_a_sentence(server: HubServer, start: Callable[..., Engine]) -> None:
    engine = start()
    server.faults = [Fault(STORAGE, times=1, status=429, headers={"Retry-After": "30"})]
    job = engine.submit("hub", "download", ASKED)
    assert job.wait(20) and job.state == "failed"
    assert "wait 30 seconds" in job.error and job.details.startswith("HubError: HfHubHTTPError")
    done(engine.submit("hub", "download", ASKED))
    assert engine.restarts("hub") == 0


def test_clips_with_their_ground_truth(server: HubServer, start: Callable[..., Engine]) -> None:
    engine = start()
    listed = done(engine.submit("hub", "list_clips", {"dataset": DATASET, "revision": None}))
    assert [(c["split"], c["label"], c["file"]) for c in listed["clips"]] == [
        (*file.split("/")[:2], file) for file in sorted(CLIPS)
    ]
    wanted = {"dataset": DATASET, "file": "val/flying_kite/2.mp4", "revision": listed["commit"]}
    clip = done(engine.submit("hub", "download_clip", wanted))
    assert Path(clip["path"]).read_bytes() == b"flying_kite 2"
    assert (clip["label"], clip["split"], clip["cached"]) == ("flying_kite", "val", True)
    assert done(engine.submit("hub", "download_clip", wanted))["path"] == clip["path"]
    assert len(server.seen(STORAGE)) == 1
