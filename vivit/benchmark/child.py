"""One cell, measured in a process of its own: a fork of a server that has torch loaded and has done nothing with it.

Such a process is there in hundredths of a second, begins with untouched memory counters, and takes all it holds with it.
"""

import atexit
import json
import multiprocessing
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor

from vivit import heap
from vivit.attention import get_attention
from vivit.benchmark import measure
from vivit.benchmark.cost import with_frames
from vivit.benchmark.measurement import NOT_FINITE, Cell, Latency, Measurement, Memory, Round
from vivit.benchmark.refusals import NOT_CAPTURED, NOT_TRAINED
from vivit.benchmark.sweep import PlannedRound
from vivit.checkpoint import open_checkpoint
from vivit.config import VivitConfig
from vivit.device import allocator, default_device
from vivit.dynamic_int8 import DynamicInt8Unavailable
from vivit.eight_bit import EightBitUnavailable
from vivit.errors import AttentionUnavailable, UserError, out_of_memory
from vivit.execution import ExecutionUnavailable, why_not
from vivit.flex_attention import refuse_flex
from vivit.interrupts import interrupts_wait
from vivit.machine import OtherWork
from vivit.model import VivitForVideoClassification
from vivit.names import BACKENDS, PRECISIONS
from vivit.precision import compute_dtype, kept_bytes
from vivit.records import from_json
from vivit.tf32 import Tf32Unavailable, products_of
from vivit.threads import waiting

POLL_SECONDS = 0.05
# The fork server's usual preload would import the caller's main module, which may be an app. Building a model imports
# torch._dynamo.
PRELOAD = [__name__, "torch._dynamo"]
# Of the fork server. KINETO_LOG_LEVEL: or the profiler prints lines for every run. No Kineto daemon: a process waits ten
# seconds for it before it ends, and a CUDA build of PyTorch starts CUDA for it while it is imported. Asking without NVML
# whether there is a GPU starts CUDA, too. No fork could use CUDA then.
ENVIRONMENT: dict[str, str | None] = {
    "KINETO_LOG_LEVEL": "99",
    "KINETO_USE_DAEMON": None,
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    **waiting(),
}

UNAVAILABLE = (AttentionUnavailable, EightBitUnavailable, DynamicInt8Unavailable, Tf32Unavailable, ExecutionUnavailable)


class ChildEnded(RuntimeError):
    """A child process ended without an answer. Args: status: its exit status; negative: a signal; None: out of time."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


def in_child(
    function: Callable[..., dict[str, Any]],
    *arguments: Any,
    tick: Callable[[], object] = lambda: None,
    started: Callable[[], object] = lambda: None,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Call a function in a fresh process, which is gone when this returns or raises.

    Args:
        function: of a module, so that pickle can carry it; returns what JSON can hold.
        arguments: what pickle can carry.
        tick: called 20 times a second meanwhile; what it raises ends the process and is passed on.
        started: called once the process is there, which takes the first one seconds and others none.
        seconds: how long it may take from then on; None: no limit.

    Raises:
        ChildEnded: if it died, was killed, or had to be.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    ours, theirs = context.Pipe()
    with ours:
        # The arguments follow later: an interrupt while `start` sent them would end in a traceback of the child. So would an
        # interrupt between the server being told to start a process and being told what for, which therefore waits.
        process = context.Process(target=_child, args=(theirs,), daemon=True)
        with theirs, _environment(ENVIRONMENT), interrupts_wait():
            _start_fork_server()
            process.start()
        started()
        ends = None if seconds is None else monotonic() + seconds
        try:
            ours.send((function, arguments))
            while not ours.poll(POLL_SECONDS):
                tick()
                if ends is not None and monotonic() > ends:
                    raise ChildEnded(None)
            answer: dict[str, Any] = json.loads(ours.recv_bytes())
            return answer
        except (EOFError, OSError):  # it ended before its answer, or within it
            process.join()
            raise ChildEnded(process.exitcode) from None
        finally:
            process.kill()
            process.join()


def _start_fork_server() -> None:
    """Start the fork server, if there is none, with SIGINT blocked: Ctrl-C while it imports would print its traceback."""
    resource_tracker.ensure_running()  # or the fork server's start would start the tracker, which unblocks SIGINT
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@atexit.register
def _kill_fork_server() -> None:
    """The server by itself would import to its end, and take 10 s to leave; whoever reads our output would wait for that."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "multiprocessing.forkserver" in " ".join(child.cmdline()):
                child.kill()


@contextmanager
def _environment(values: dict[str, str | None]) -> Iterator[None]:
    """Set variables, None for absent, for as long as this lasts, so that no other child gets them."""
    former = {name: os.environ.get(name) for name in values}

    def put(values: dict[str, str | None]) -> None:
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    put(values)
    try:
        yield
    finally:
        put(former)


def _child(connection: Connection) -> None:
    with suppress(OSError):  # if memory runs out, this process goes first, not the app or the desktop
        Path("/proc/self/oom_score_adj").write_text("1000")
    heap.keep()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who keeps what is done
    try:
        function, arguments = connection.recv()
    except (EOFError, OSError):  # interrupted before it was told what to do
        return
    answer = json.dumps(function(*arguments), allow_nan=False).encode()
    with suppress(BrokenPipeError):  # interrupted: nobody is left to read it
        connection.send_bytes(answer)


def measure_in_child(
    planned: PlannedRound, pixel_values: np.ndarray | None = None, tick: Callable[[], object] = lambda: None
) -> tuple[Measurement, float]:
    """Measure one round of a cell in a fresh process; whatever happens to it becomes a row.

    Args:
        planned: what to measure and for how long.
        pixel_values: the clip, (T, C, H, W) float32, normalised; random numbers if None.
        tick: as `in_child`'s.

    Returns:
        The row, and the seconds it took in all, the start of the fork server not counted.
    """
    begin = monotonic()

    def started() -> None:
        nonlocal begin
        begin = monotonic()

    limit = planned.limit_seconds
    try:
        values = in_child(_measure_as_json, planned, pixel_values, tick=tick, started=started, seconds=limit)
        row = from_json(Measurement, values)
    except ChildEnded as ended:
        row = Measurement(planned.cell, *_ending(ended.status, limit))
    return row, monotonic() - begin


def _ending(status: int | None, seconds: float | None) -> tuple[str, str, str]:
    if status is None:
        return "cancelled", f"Stopped after {seconds:.0f} s, its share of the time budget. Give it more, or 'full'.", ""
    if status == -signal.SIGKILL:
        reason = (
            "The system killed its process, most likely for want of memory. Try a smaller batch or a fused attention."
        )
        return "failed", reason, "SIGKILL"
    cause = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return "failed", f"Its process ended unexpectedly ({cause}). Try another attention or precision.", cause


def _measure_as_json(planned: PlannedRound, pixel_values: np.ndarray | None) -> dict[str, Any]:
    return asdict(measure_here(planned, pixel_values))


def measure_here(planned: PlannedRound, pixel_values: np.ndarray | None = None) -> Measurement:
    """Measure one round in this process. Arguments as `measure_in_child`'s; every failure becomes a row."""
    cell = planned.cell
    try:
        return _measure(planned, pixel_values)
    except Exception as error:
        causes: list[BaseException] = [error]
        while cause := causes[-1].__cause__ or causes[-1].__context__:
            causes.append(cause)  # a compiler wraps what it meets
        for cause in causes:
            if isinstance(cause, UNAVAILABLE):
                return Measurement(cell, "unavailable", str(cause), cause.details)
            if out_of_memory(cause):
                reason = (
                    f"{cell.name} does not fit into this machine's memory. Try a smaller batch or a fused attention."
                )
                return Measurement(cell, "out-of-memory", reason, str(cause).partition("\n")[0])
        said = str(error).partition("\n")[0]
        if isinstance(error, UserError):
            return Measurement(cell, "failed", said, error.details)
        return Measurement(cell, "failed", f"{type(error).__name__}: {said}", traceback.format_exc())


def _measure(planned: PlannedRound, pixel_values: np.ndarray | None) -> Measurement:
    cell, device = planned.cell, default_device()
    checkpoint = open_checkpoint(cell.checkpoint, here=True)  # downloaded before, and not by what is timed
    _refuse(cell, device)
    try_attention(cell, checkpoint.config, device)
    loading: dict[str, Any] = {"attn_implementation": cell.attention, "dtype": cell.precision, "device": device}
    model = checkpoint.load(VivitForVideoClassification, **loading)
    if cell.compiles:
        # A warm cache would make the first call of the second round look cheap.
        torch.compiler.config.force_disable_caches = True
        torch._inductor.config.compile_threads = 1  # helpers of a killed process would outlive it
    model.set_execution(cell.execution)
    training = cell.mode == "training"
    call = _Call(model.train(training), clip_batch(cell, checkpoint.config, pixel_values).to(device, model.dtype), cell)
    with torch.inference_mode(not training), products_of(model):  # around the compiler and the way back too
        timing, recorded, held = _time_and_record(call, planned, device)
    output = call.output
    logits = tuple(output[0].float().tolist()) if not training and output[0].isfinite().all() else None
    return Measurement(
        cell,
        "ok",
        reason="" if training or logits else NOT_FINITE,
        kernel=recorded.kernel if recorded else "",
        device_kernels=recorded.device_kernels if recorded else (),
        latency=Latency((timing,)),
        memory=_memory(model, peak + held, device) if recorded and (peak := recorded.peak_bytes) is not None else None,
        logits=logits,
    )


def _refuse(cell: Cell, device: torch.device) -> None:
    """Raise what is known of a cell that cannot run, before anything is loaded."""
    if cell.mode == "training" and PRECISIONS[cell.precision].weights == "int8":
        raise EightBitUnavailable(NOT_TRAINED)
    if cell.mode == "training" and cell.execution == "captured":
        raise ExecutionUnavailable(NOT_CAPTURED)
    if reason := why_not(cell.execution, device.type):
        raise ExecutionUnavailable(reason)


class _Call:
    """What is timed: a forward pass, or a step of training. `output` is what the last one answered, (B, num_labels)."""

    output: Tensor

    def __init__(self, model: VivitForVideoClassification, pixels: Tensor, cell: Cell) -> None:
        self.model, self.pixels = model, pixels
        self._options = {} if cell.num_frames is None else {"interpolate_pos_encoding": True}
        self._optimiser = torch.optim.AdamW(model.parameters()) if cell.mode == "training" else None
        drawn = torch.randint(model.num_labels or 1, (cell.batch_size,), generator=torch.Generator().manual_seed(0))
        self._labels = drawn.to(pixels.device)

    def __call__(self) -> float:
        """One call. Returns ms, by the device's own clock."""
        self.output, ms = measure.timed(self._forward if self._optimiser is None else self._step, self.pixels.device)
        return ms

    def _forward(self) -> Tensor:
        logits: Tensor = self.model(self.pixels, **self._options).logits
        return logits

    def _step(self) -> Tensor:
        assert self._optimiser is not None
        output = self.model(self.pixels, labels=self._labels, **self._options)
        output.loss.backward()
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        logits: Tensor = output.logits.detach()
        return logits

    def held_bytes(self) -> int:
        """What is held between two calls beside the weights: the clips, and the optimiser's moments."""
        state = self._optimiser.state.values() if self._optimiser else []
        tensors = [self.pixels, *(v for s in state for v in s.values() if isinstance(v, Tensor))]
        return sum(t.numel() * t.element_size() for t in tensors)


def _time_and_record(
    call: _Call, planned: PlannedRound, device: torch.device
) -> tuple[Round, measure.Record | None, int]:
    """Calls that are timed, one that is recorded if it is wanted, and the bytes that were held before that one."""
    recorded, held, others = None, 0, OtherWork()
    if planned.record_first:  # too slow to be run twice
        held = call.held_bytes()
        ms, recorded = measure.record(call, device)
        timing = Round(ms, (ms,), warm=False)
    elif planned.cell.prepares:
        compile_ms = call()
        others = OtherWork()  # the compiler is none
        timing = replace(measure.repeat(call, planned.rule), first_ms=compile_ms)
    else:
        timing = measure.repeat(call, planned.rule)
    timing = replace(timing, number=planned.number, others_share=others.share())
    if planned.record and recorded is None:
        held = call.held_bytes()
        if planned.cell.execution == "captured":  # a replay takes no memory: that is of the call which captures
            call.model.set_execution(planned.cell.execution)
        _, recorded = measure.record(call, device)
    return timing, recorded, held


def try_attention(cell: Cell, config: VivitConfig, device: torch.device) -> None:
    """Raise what the backend would raise, before the model is loaded; nothing is compiled: the first call does that."""
    dtype = compute_dtype(cell.precision, device)
    size = (3, 1, config.num_attention_heads, 64, config.head_size)
    query, key, value = torch.randn(size, device=device, requires_grad=cell.mode == "training").to(dtype)
    dropout = config.attention_probs_dropout_prob if cell.mode == "training" else 0.0
    attend = get_attention(cell.attention)
    if BACKENDS[cell.attention].compiled:
        refuse_flex(query, dropout, gradients=cell.mode == "training")
    else:
        attend(query, key, value, dropout)


def clip_batch(cell: Cell, config: VivitConfig, pixel_values: np.ndarray | None) -> Tensor:
    """The cell's input: one clip, as often as its batch is large.

    Args:
        cell: its batch size and number of frames.
        config: the shape of its checkpoint.
        pixel_values: (T, C, H, W) float32; random numbers of unit scale if None.

    Returns:
        (B, T, C, H, W) float32; frames chosen evenly if the cell wants another number of them.
    """
    wanted = with_frames(config, cell.num_frames or config.num_frames).num_frames
    if pixel_values is None:
        _, height, width = config.clip_size
        shape = (wanted, config.num_channels, height, width)
        clip = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    else:
        chosen = np.linspace(0, len(pixel_values) - 1, wanted).round().astype(int)
        clip = torch.from_numpy(pixel_values[chosen])
    return clip.expand(cell.batch_size, *clip.shape).contiguous()


def _memory(model: VivitForVideoClassification, beyond_weights: int, device: torch.device) -> Memory:
    weights = kept_bytes(model)
    counting = allocator(device)
    allocated = counting.max_memory_allocated(device) if counting else None
    return Memory(
        weights=sum(weights.values()),
        activations=beyond_weights,  # what a GPU's libraries keep for themselves is in `allocated` alone
        allocated=allocated,
        reserved=counting.max_memory_reserved(device) if counting else None,
        resident=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        weights_kept_in=weights,
    )
