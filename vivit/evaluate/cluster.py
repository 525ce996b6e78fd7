"""Labelled clips beyond one machine, by Ray: its tasks decode, its actors hold a model each, and this process gets records.

No torch is used but by the actors, and no pixels come here.

Letters: V views of a clip, T frames of each, H × W pixels.
"""

import json
import logging
import os
import socket
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from vivit.decoders import Reading, decode_ahead, read_clip
from vivit.errors import UserError
from vivit.evaluate.records import LabelledClip, Record, why
from vivit.interrupts import interrupts_wait
from vivit.preparing import ReadyClip
from vivit.records import from_json
from vivit.threads import waiting

if TYPE_CHECKING:
    from vivit.evaluate.passes import Classifier

ADDRESS = "RAY_ADDRESS"  # the environment variable that names a cluster, as Ray has it
CONNECT_SECONDS = 5.0
MOST_BLOCKS = 10_000  # each is put into Ray's store before anything begins, which takes a millisecond
RETRIES = 8  # of one task whose process or node ends; Ray Data would go on for ever
TASKS_OF_A_PROCESS = 1000  # then it makes place for a new one
# What Ray reads as it is imported: that nothing is reported to its makers, and that what befalls its processes is not printed
# between our lines; it goes on, or raises.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": ".", "RAY_BACKEND_LOG_LEVEL": "fatal"}
# For a Ray that is started here. By its name the first is for other systems, but by it Ray listens on 127.0.0.1 alone. Without
# the second, Ray's processes would give way to all others more than what is asked for here deserves.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}
# How often and how long Ray asks whatever listens at an address.
PATIENCE = {"RAY_NUM_REDIS_GET_RETRIES": "2", "RAY_py_gcs_connect_timeout_s": "5"}
SECRET = ("TOKEN", "SECRET", "KEY")  # what is in the names of variables that hold one
AHEAD = 2  # tasks that an actor has: one in work, and one whose pixels are fetched meanwhile


def evaluate_on_cluster(
    clips: Iterable[LabelledClip],
    reading: Reading,
    load: "Callable[[], Classifier]",
    batch_size: int,
    *,
    processes: int | None = None,
    models: int | None = None,
    threads: int = 1,
    on_gpus: bool = True,
) -> Generator[list[Record], None, None]:
    """Records, step by step, as they come: their indices say where they belong. Each clip has one.

    They are what `vivit.evaluate.local` finds, to the bit, with as many threads and on such a device. A process or a node
    that ends in the middle costs the time of what it had in work; a clip that ends the process which reads it is read in one of
    its own next time, and is one that cannot be read if it ends that too.

    RAY_ADDRESS names the cluster. Without it, or with 'local', a Ray of this machine's is started, and ended with the
    generator; one that this process is connected with already is used and left.

    Args:
        clips: which; their paths must be readable on every node.
        reading: how; its processor makes pictures of one size.
        load: makes the classifier in an actor, on the device that `vivit.device.default_device` gives there: Ray shows an actor
            no GPU but its own. Pickled.
        batch_size: the classifier's. A task decodes whole steps, see `vivit.evaluate.passes.clips_of_a_step`.
        processes: how many decode at a time; as many as there are CPUs to spare if None.
        models: how many actors; if None as many as there are GPUs, or one.
        threads: CPUs of an actor, and PyTorch's threads in it.
        on_gpus: whether each actor takes a GPU where there are some.

    Raises:
        UserError: if Ray is not there, or cannot do it; and with the words of whatever `load` or the classifier raise.
    """
    asked = [*clips]
    if not asked:
        return
    from vivit.evaluate.passes import clips_of_a_step

    size = clips_of_a_step(batch_size, reading.views.count)
    steps = [asked[k : k + size] for k in range(0, len(asked), size)]
    items = [{"records": _text([Record(**asdict(clip)) for clip in step])} for step in steps]
    with _connected((processes or os.cpu_count() or 1) + (models or 1) * threads, on_gpus) as ray, _in_our_words(ray):
        there = ray.cluster_resources()
        gpus = int(there.get("GPU", 0)) * on_gpus
        models = models or gpus or 1
        _refuse_too_few(int(there.get("CPU", 0)), models * threads + 1)
        data = ray.data.from_items(items, override_num_blocks=min(len(items), MOST_BLOCKS))
        data.context.enable_progress_bars = False
        data.context.print_on_execution_start = False
        # A limit of its own keeps a task from being fused with an actor's: pixels are made where there are CPUs.
        data = data.map(
            _read,
            fn_kwargs={"reading": reading, "step": size},
            compute=ray.data.TaskPoolStrategy(size=processes),
            num_cpus=1,
            max_calls=TASKS_OF_A_PROCESS,
        )
        data = data.map_batches(
            _Model,
            batch_size=1,
            fn_constructor_args=(load, threads),
            compute=ray.data.ActorPoolStrategy(size=models, max_tasks_in_flight_per_actor=AHEAD),
            num_cpus=threads,
            num_gpus=1 if gpus else 0,
        )
        left = {clip.index for clip in asked}
        with closing(iter(data.iter_batches(batch_size=None))) as found:
            for rows in found:
                for text, problem in zip(rows["records"], rows["problem"], strict=True):
                    if problem:
                        raise UserError(*json.loads(problem))
                    records = [record for record in _records(text) if record.index in left]
                    left -= {record.index for record in records}
                    if records:
                        yield records
        if left:
            raise UserError(
                f"Ray gave no answer for {len(left)} clips. Look into its logs ('ray status'), and try again."
            )


def _text(records: Iterable[Record]) -> str:
    """Records as they travel: names of files may be no UTF-8, of which Arrow's strings must be."""
    return json.dumps([asdict(record) for record in records])


def _records(text: str) -> list[Record]:
    return from_json(list[Record], json.loads(text))


def _read(row: dict[str, Any], reading: Reading, step: int) -> dict[str, Any]:
    """A task's part: a row's records get their errors, and beside them pixels: zeros for a clip that cannot be read.

    Returns:
        The row, with 'pixels', (step, V, T, H, W, 3) uint8.
    """
    # A model's processor makes pictures of one size.
    picture = reading.picture or (*(reading.processor.output_size or (0, 0)), 3)
    pixels = np.zeros((step, reading.views.count, reading.num_frames, *picture), np.uint8)
    records = _records(row["records"])
    with closing(_clips([record.path for record in records], reading)) as clips:
        for k, clip in enumerate(clips):
            if isinstance(clip, Exception):
                records[k] = replace(records[k], error=why(clip))
            else:
                pixels[k] = clip.pixels
                records[k] = replace(records[k], decode_seconds=clip.timings_ms["cpu"] / 1e3)
    return {"records": _text(records), "pixels": pixels}


def _clips(paths: Iterable[str], reading: Reading) -> Generator[ReadyClip | Exception, None, None]:
    """Clips, or why they cannot be read: here, or in a process of its own if the one that tried before has ended."""
    if _tried():
        yield from decode_ahead(paths, reading, processes=1, ahead=0)
        return
    for path in paths:
        try:
            yield read_clip(path, reading)
        except Exception as error:
            yield error


def _tried() -> int:
    """How often this task has been begun before, by processes that ended. Raises RuntimeError if that is too often."""
    from ray._private.worker import global_worker

    worker: Any = global_worker  # no public name tells it
    before: int = worker.core_worker.get_current_task_attempt_number()
    if before > RETRIES:
        raise RuntimeError(f"the process of one task ended {before} times; see the memory and Ray's logs of its node")
    return before


class _Model:
    """An actor's part. Args: load: makes the classifier; threads: PyTorch's, whatever Ray has set."""

    def __init__(self, load: "Callable[[], Classifier]", threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._problem: Exception | None = None
        try:
            self._classifier = load()
        except Exception as problem:
            self._problem = problem

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[str]]:
        """A step: one row of `_read`'s → its records. A problem is a value too: of an exception Ray makes pages."""
        _tried()
        records, problem = _records(batch["records"][0]), ""
        try:
            records = self._classified(records, batch["pixels"][0])
        except Exception as error:
            problem = json.dumps([why(error), getattr(error, "details", traceback.format_exc())])
        return {"records": [_text(records)], "problem": [problem]}

    def _classified(self, records: list[Record], pixels: np.ndarray) -> list[Record]:
        from vivit.evaluate.passes import record_of

        if self._problem:
            raise self._problem
        good = [k for k, record in enumerate(records) if not record.error]
        answers = self._classifier([pixels[k] for k in good]) if good else []
        for k, answer in zip(good, answers, strict=True):
            records[k] = record_of(records[k], answer, self._classifier.model.config)
        return records


def _refuse_too_few(cpus: int, needed: int) -> None:
    if cpus < needed:
        raise UserError(
            f"The Ray cluster has {cpus} CPUs, and {needed} are needed: one to decode with, and those of the models' threads. "
            "Ask for fewer models or threads, or add nodes."
        )


@contextmanager
def _connected(cpus: int, on_gpus: bool) -> Iterator[Any]:
    """Meanwhile Ray is connected with. Args: cpus: of one that is started here; on_gpus: whether models may be on GPUs."""
    address = os.environ.get(ADDRESS) or "local"
    for name, value in (QUIET | (LOOPBACK if address == "local" else PATIENCE)).items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UserError(
            "The engine 'ray' needs the package ray (pip install 'ray[data]'), which is not on this machine. Install it, or "
            "use the engine 'local'.",
            str(error),
        ) from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    library = Path(__file__).parents[1]
    # Which of a node's GPUs an actor has is Ray's to say.
    variables = {"VIVIT_DEVICE": "" if on_gpus else "cpu"}
    if address == "local":
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(library.parent), os.environ.get("PYTHONPATH")]))
        options |= {"num_cpus": cpus, "include_dashboard": False, "runtime_env": {"env_vars": variables}}
    else:
        _refuse_silence(address)
        # Every node runs this same library, and looks for checkpoints as this process would. Whoever may use the cluster can
        # read what a job is sent, so that no token is.
        sent = {name for name in os.environ if name.startswith("HF_") and not any(map(name.__contains__, SECRET))}
        variables |= waiting() | {name: os.environ[name] for name in sent}
        options["runtime_env"] = {"py_modules": [str(library)], "env_vars": variables}
    try:
        _start(ray, address, options)
        yield ray
    finally:
        with interrupts_wait():
            ray.shutdown()


def _start(ray: Any, address: str, options: dict[str, Any]) -> None:
    try:
        with interrupts_wait():
            ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"Ray at '{address}' cannot be used. Look whether it runs ('ray status'), and with the same versions of Python and "
            "Ray as here.",
            f"{error}: {error.__cause__}",
        ) from error


def _refuse_silence(address: str) -> None:
    """Raise UserError where no cluster can be: Ray itself would ask again and again."""
    if address.startswith("ray://"):
        raise UserError(
            f"'{address}' is of Ray's client, through which no data goes. Start this on a node of the cluster, with the "
            f"address that 'ray start --head' says as {ADDRESS}."
        )
    place = urlsplit(f"//{address}")
    try:
        if place.port:
            socket.create_connection((place.hostname or "", place.port), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"There is no Ray cluster at '{address}', which {ADDRESS} names. Start one ('ray start --head'), correct the "
            "address, or unset it for a Ray of this machine's.",
            str(error),
        ) from error


@contextmanager
def _in_our_words(ray: Any) -> Iterator[None]:
    """Ray's exceptions become the one that a task or an actor raised, or a sentence."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise UserError(
            "Ray could not go on. Look whether it runs ('ray status') and into its logs.", str(error)
        ) from error
