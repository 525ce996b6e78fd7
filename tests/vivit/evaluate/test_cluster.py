"""Ray, real, with two decoders and actors on this machine: the same records as here, whoever is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
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
from vivit.processing import VivitImageProcessor

ROOT = Path(__file__).parents[3]
CLIPS = ROOT / "vivit" / "assets" / "clips"
os.environ.update(cluster.LOOPBACK)  # Ray reads them as it is imported, first for an address elsewhere, without them
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
    """What the local engine finds."""
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
    for address in ("127.0.0.1:1", "nowhere.invalid:6379"):
        error = ended(address, monkeypatch, clips, reading)
        assert f"'{address}'" in str(error) and error.details
    assert "of Ray's client" in str(ended("ray://127.0.0.1:10001", monkeypatch, clips, reading))


def test_without_ray_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, clips: list[LabelledClip], reading: Reading
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
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
    with cluster._connected(cpus=4, on_gpus=False) as ray:
        started = [process for name, process in of_ray(psutil.Process()) if "ray" in name]
        assert any("raylet" in name for name, _ in of_ray(psutil.Process()))
        yield ray
        started += [process for name, process in of_ray(psutil.Process()) if "ray" in name]
    _, alive = psutil.wait_procs(started, timeout=60)
    assert not alive


@pytest.mark.full
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
    """Kill the first process of Ray's whose name has this in it. Returns: its id; nothing where none came."""
    while not give_up.is_set():
        for title, process in of_ray(psutil.Process()):
            if name in title:
                os.kill(process.pid, signal.SIGKILL)
                return [process.pid]
        time.sleep(0.005)
    return []


@pytest.mark.full
def test_whoever_is_killed_costs_no_clip_and_none_is_counted_twice(
    ray: Any, clips: list[LabelledClip], reading: Reading, here: dict[int, Record]
) -> None:
    dead: list[int] = []
    give_up = threading.Event()
    # So Ray calls its processes while they read, and while they classify.
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


def refuse(sentence: str) -> Classifier:
    raise UserError(sentence)


def test_what_an_actor_says_to_the_user_arrives(ray: Any, clips: list[LabelledClip], reading: Reading) -> None:
    with pytest.raises(UserError, match=r"^No such checkpoint on this node\.$"):
        next(evaluate_on_cluster(clips[:1], reading, partial(refuse, "No such checkpoint on this node."), BATCH_SIZE))


def test_more_threads_than_there_are_is_a_sentence_and_no_endless_wait(
    ray: Any, clips: list[LabelledClip], reading: Reading
) -> None:
    with pytest.raises(UserError, match="has 4 CPUs, and 65 are needed"):
        next(evaluate_on_cluster(clips, reading, LOAD, BATCH_SIZE, threads=64))


class Deadly(VivitImageProcessor):
    """Ends the process that it is in, as a codec may; a decoder in a process of its own gets only its fields, and lives."""

    def crops(self, frame: np.ndarray, count: int = 1) -> np.ndarray:
        Path((self.extra or {})["ended"]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
        return frame


@pytest.mark.full
def test_a_clip_that_ends_its_process_is_next_read_in_one_of_its_own(
    ray: Any, clips: list[LabelledClip], reading: Reading, here: dict[int, Record], tmp_path: Path
) -> None:
    same = {field.name: getattr(reading.processor, field.name) for field in fields(reading.processor)}
    deadly = replace(reading, processor=Deadly(**same | {"extra": {"ended": str(tmp_path / "ended")}}))
    [found] = evaluate_on_cluster(clips[:2], deadly, LOAD, BATCH_SIZE)
    assert by_index(found) == {k: here[k] for k in (0, 1)} and (tmp_path / "ended").exists()


# A program of its own: its `load` travels to the nodes, as all must that they have not.
SCRIPT = """
import sys
from vivit.checkpoint import open_checkpoint
from vivit.decoders import Reading
from vivit.evaluate.cluster import evaluate_on_cluster
from vivit.evaluate.records import LabelledClip
def load():
    from vivit.evaluate.passes import Classifier
    from vivit.model import VivitForVideoClassification
    made = open_checkpoint("vivit-mannequin")
    return Classifier(made.load(VivitForVideoClassification), made.processor, 4)
made = open_checkpoint("vivit-mannequin")
clips = [LabelledClip(k, sys.argv[1], "", 0) for k in range(int(sys.argv[2]))]
for step in evaluate_on_cluster(clips, Reading(made.config.num_frames, made.processor), load, 4, processes=1):
    print(*[record.top[0].label for record in step], sep=", ", flush=True)
"""


@pytest.fixture
def script() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begins commands, each in a process group of its own, as a terminal does, and ends them after the test."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*command: object, **options: Any) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen([*map(str, command)], start_new_session=True, **pipes, **options))
        return begun[-1]

    yield begin
    for process in begun:
        process.terminate()
        process.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def below(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [child for _, child in of_ray(psutil.Process(process.pid))]


@pytest.mark.full
def test_ctrl_c_leaves_no_process_behind(script: Callable[..., Any], clips: list[LabelledClip]) -> None:
    command = script(sys.executable, "-c", SCRIPT, clips[0].path, 400, cwd=ROOT)
    assert command.stdout.readline() == f"{', '.join(['applauding'] * 4)}\n"
    started = below(command)
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does
    assert command.communicate()[1].endswith("KeyboardInterrupt\n")
    assert len(started) > 4 and not psutil.wait_procs(started, timeout=60)[1]


@pytest.mark.full
def test_a_cluster_that_is_there_need_not_have_the_library(
    script: Callable[..., Any], clips: list[LabelledClip], tmp_path: Path
) -> None:
    port = free_port()
    ours = {"RAY_ADDRESS": f"127.0.0.1:{port}", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "of this test alone" * 2}
    environment = {**os.environ, **ours}
    options = [
        "--head",
        "--block",
        f"--port={port}",
        "--num-cpus=2",
        "--include-dashboard=false",
        "--disable-usage-stats",
    ]
    ray = Path(sys.executable).with_name("ray")
    node = script(ray, "start", *options, cwd=tmp_path, env={**environment, "RAY_ADDRESS": "", "PYTHONPATH": ""})
    while "Ray runtime started" not in (line := node.stdout.readline()):
        assert line, node.communicate()
    command = script(sys.executable, "-c", SCRIPT, clips[0].path, 4, cwd=ROOT, env=environment)
    answers, words = command.communicate()
    assert answers == f"{', '.join(['applauding'] * 4)}\n", words
    started = below(node)
    assert node.poll() is None and any("raylet" in " ".join(process.cmdline()) for process in started)
    node.terminate()
    node.communicate()
    assert not psutil.wait_procs(started, timeout=60)[1]
