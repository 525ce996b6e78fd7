"""Ray, real, with two decoders and actors on this machine: the same records as here, whoever is killed."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from vivit.checkpoint import open_checkpoint
from vivit.decoders import Reading
from vivit.errors import UserError
from vivit.evaluate import cluster
from vivit.evaluate.cluster import evaluate_on_cluster
from vivit.evaluate.local import evaluate_locally
from vivit.evaluate.passes import Classifier
from vivit.evaluate.records import LabelledClip, Record
from vivit.model import VivitForVideoClassification

CLIPS = Path(__file__).parents[3] / "vivit" / "assets" / "clips"
os.environ.update(cluster.LOOPBACK)  # it is read as Ray is imported, which is first done for addresses elsewhere
BATCH_SIZE = 4
NOBODY = 1000  # the index of the clip that cannot be read


def make_classifier(name: str) -> Classifier:
    checkpoint = open_checkpoint(name)
    model = checkpoint.load(VivitForVideoClassification)
    return Classifier(model, checkpoint.processor, BATCH_SIZE, checkpoint.familiarity())


LOAD = partial(make_classifier, "vivit-mannequin")


@pytest.fixture(scope="module")
def reading() -> Reading:
    checkpoint = open_checkpoint("vivit-mannequin")
    return Reading(checkpoint.config.num_frames, checkpoint.processor)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledClip]:
    """Bundled clips, every one of which the model knows, and one that is none."""
    known = {label: k for k, label in open_checkpoint("vivit-mannequin").labels.items()}
    listed = json.loads((CLIPS / "clips.json").read_text(encoding="utf-8"))[:12]
    found = [
        LabelledClip(k, str(CLIPS / clip["file"]), clip["label"], known[clip["label"]]) for k, clip in enumerate(listed)
    ]
    broken = tmp_path_factory.mktemp("broken") / "broken.mp4"
    broken.write_text("no clip\n" * 100)
    return [*found[:5], LabelledClip(NOBODY, str(broken), "squat", known["squat"]), *found[5:]]


@pytest.fixture(scope="module")
def here(clips: list[LabelledClip], reading: Reading) -> dict[int, Record]:
    """What the other engine finds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = [record for step in evaluate_locally(clips, reading, LOAD(), processes=1) for record in step]
    torch.set_num_threads(threads)
    return by_index(found)


def by_index(found: list[Record]) -> dict[int, Record]:
    """Records without their times. Fails if a clip has two."""
    assert len({record.index for record in found}) == len(found)
    return {record.index: replace(record, decode_seconds=0.0, model_seconds=0.0) for record in found}


def ended(address: str, monkeypatch: pytest.MonkeyPatch, clips: list[LabelledClip], reading: Reading) -> UserError:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError) as caught:
        next(evaluate_on_cluster(clips, reading, LOAD, BATCH_SIZE))
    return caught.value


def test_a_cluster_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, clips: list[LabelledClip], reading: Reading
) -> None:
    """Before any other test here has connected this process."""
    for address in ("127.0.0.1:1", "nowhere.invalid:6379", "auto"):
        error = ended(address, monkeypatch, clips, reading)
        assert f"'{address}'" in str(error) and error.details
    assert "of Ray's client" in str(ended("ray://127.0.0.1:10001", monkeypatch, clips, reading))


def test_without_ray_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, clips: list[LabelledClip], reading: Reading
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'ray\[data\]'"):
        next(evaluate_on_cluster(clips, reading, LOAD, BATCH_SIZE))


def of_ray(process: psutil.Process) -> list[tuple[str, psutil.Process]]:
    """What runs below a process, by the names that Ray gives them."""
    found = []
    for child in process.children(recursive=True):
        try:
            found.append((" ".join(child.cmdline()), child))
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture(scope="module")
def ray(clips: list[LabelledClip]) -> Iterator[Any]:
    """One for all tests below, which leaves no process behind."""
    with cluster._connected(processes=2, others=2) as ray:
        started = [process for name, process in of_ray(psutil.Process()) if "ray" in name]
        assert any("raylet" in name for name, _ in of_ray(psutil.Process()))
        yield ray
        started += [process for name, process in of_ray(psutil.Process()) if "ray" in name]
    _, alive = psutil.wait_procs(started, timeout=60)
    assert not alive


def test_records_are_those_of_this_process_to_the_bit(
    ray: Any, clips: list[LabelledClip], reading: Reading, here: dict[int, Record]
) -> None:
    steps = [*evaluate_on_cluster(clips, reading, LOAD, BATCH_SIZE, processes=2, models=2)]
    assert all(len(step) <= BATCH_SIZE for step in steps)
    found = by_index([record for step in steps for record in step])
    assert found == here
    assert found.pop(NOBODY).error == here[NOBODY].error != ""
    assert all(record.right and record.decode_seconds == 0 and not record.error for record in found.values())
    assert any(record.decode_seconds for step in steps for record in step)


def killed(name: str, give_up: threading.Event) -> list[int]:
    """Kill the first process of Ray's whose name has this in it; its id."""
    while not give_up.is_set():
        for title, process in of_ray(psutil.Process()):
            if name in title:
                os.kill(process.pid, signal.SIGKILL)
                return [process.pid]
        time.sleep(0.005)
    return []


def test_whoever_is_killed_costs_no_clip_and_none_is_counted_twice(
    ray: Any, clips: list[LabelledClip], reading: Reading, here: dict[int, Record]
) -> None:
    dead: list[int] = []
    give_up = threading.Event()
    # So are they called while they read, and while they classify.
    names = ("ray::Map(_read)", "ray::MapWorker(MapBatches(_Model)).submit")
    killers = [threading.Thread(target=lambda name=name: dead.extend(killed(name, give_up))) for name in names]
    for killer in killers:
        killer.start()
    try:
        steps = [*evaluate_on_cluster(clips, reading, LOAD, BATCH_SIZE, processes=2, models=1)]
    finally:
        give_up.set()
        for killer in killers:
            killer.join()
    assert len(dead) == 2
    assert by_index([record for step in steps for record in step]) == here


def refuse(sentence: str) -> Callable[[], Classifier]:
    raise UserError(sentence)


def test_what_an_actor_says_to_the_user_arrives(ray: Any, clips: list[LabelledClip], reading: Reading) -> None:
    with pytest.raises(UserError, match=r"^No such checkpoint on this node\.$"):
        next(evaluate_on_cluster(clips[:1], reading, partial(refuse, "No such checkpoint on this node."), BATCH_SIZE))


def test_more_threads_than_there_are_is_a_sentence_and_no_endless_wait(
    ray: Any, clips: list[LabelledClip], reading: Reading
) -> None:
    with pytest.raises(UserError, match="has 4 CPUs, and 65 are needed"):
        next(evaluate_on_cluster(clips, reading, LOAD, BATCH_SIZE, threads=64))
