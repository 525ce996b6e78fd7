"""The worker's side: `python -m engine.worker FD MODULE MEMORY_LIMIT_BYTES CPU_LIMIT_SECONDS` (0: no limit) runs the
tasks of MODULE, one at a time.

MODULE has `TASKS`, a dict of functions `task(arguments, blobs, progress) -> (result, blobs)`; where the requests are those of
`engine.tasks`, `typed` makes it. It may have `start()`, called once and before any task, whose dict or dataclass the server
keeps as this worker's hello. `progress(fraction, note)` raises `Cancelled` once the job has been cancelled. A `UserError`
carries the sentence that the visitor reads; any other exception is a fault of ours.
"""

import faulthandler
import fcntl
import importlib
import math
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from engine.failures import OUT_OF_MEMORY, unexpected
from engine.jobs import Cancelled
from engine.messages import Request, pack, unpack
from vivit import heap
from vivit.errors import UserError
from vivit.progress import Progress
from vivit.records import from_json

Task = Callable[[dict[str, Any], list[bytes], Progress], tuple[dict[str, Any], list[bytes]]]


def typed(tasks: dict[type[Request[Any]], Callable[..., tuple[Any, list[bytes]]]]) -> dict[str, Task]:
    """TASKS from functions that take a request where others take JSON, and return its kind of reply.

    Args:
        tasks: kind of request → `task(request, blobs, progress) -> (reply, blobs)`.
    """

    def as_task(kind: type[Request[Any]], function: Callable[..., tuple[Any, list[bytes]]]) -> Task:
        def task(
            arguments: dict[str, Any], blobs: list[bytes], progress: Progress
        ) -> tuple[dict[str, Any], list[bytes]]:
            reply, produced = function(from_json(kind, arguments), blobs, progress)
            return asdict(reply), produced

        return task

    return {kind.TASK: as_task(kind, function) for kind, function in tasks.items()}


class Worker:
    """Speaks with the server: a thread listens, so that a cancel or the server's end is noticed while a task runs."""

    def __init__(self, connection: socket.socket, cpu_limit_seconds: int) -> None:
        self._connection = connection
        self._cpu_limit = cpu_limit_seconds
        self._sending = threading.Lock()
        self._inbox: SimpleQueue[tuple[dict[str, Any], list[bytes]]] = SimpleQueue()
        self._cancelled: set[int] = set()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            with self._connection.makefile("rb") as stream:
                while True:
                    header, blobs = unpack(stream)
                    if header["kind"] == "cancel":
                        self._cancelled.add(header["job"])
                    else:
                        self._inbox.put((header, blobs))
        finally:
            os.killpg(os.getpgrp(), signal.SIGKILL)  # the server is gone: so are we, and our own children

    def send(self, message: list[bytes | memoryview]) -> None:
        with self._sending:
            for part in message:
                self._connection.sendall(part)

    def serve(self, tasks: dict[str, Task]) -> None:
        """Run jobs until the process is ended."""
        while True:
            header, blobs = self._inbox.get()
            reply = self._run(tasks, header, blobs)
            del blobs
            self._cancelled.discard(header["job"])
            self.send(reply)
            del reply
            heap.give_back()

    def _run(self, tasks: dict[str, Task], header: dict[str, Any], blobs: list[bytes]) -> list[bytes | memoryview]:
        job: int = header["job"]
        said: tuple[float, str] = (0.0, "")

        def progress(fraction: float, note: str = "") -> None:
            nonlocal said
            if job in self._cancelled:
                raise Cancelled
            now = time.monotonic()
            if note != said[1] or now - said[0] > 0.05:
                said = now, note
                self.send(pack({"kind": "progress", "job": job, "progress": fraction, "note": note}))

        if self._cpu_limit:
            _grant_cpu(self._cpu_limit)
        failure = {"kind": "reply", "job": job, "state": "failed", "traceback": ""}
        try:
            result, produced = tasks[header["task"]](header["arguments"], blobs, progress)
            return pack({"kind": "reply", "job": job, "state": "done", "result": result}, produced)
        except Cancelled:
            return pack({"kind": "reply", "job": job, "state": "cancelled"})
        except MemoryError as error:
            return pack({**failure, "error": OUT_OF_MEMORY, "details": f"MemoryError: {error}"})
        except Exception as error:
            name = type(error).__name__
            if isinstance(error, UserError):
                details = f"{name}: {error.details}" if error.details else ""
                sentence = str(error).partition("\n")[0]  # the rest is for those who write Python
                return pack({**failure, "error": sentence, "details": details})
            # Nobody wrote these words for visitors; they may name files of this machine.
            details = f"{name}: the server's log has the rest"
            return pack({**failure, "error": unexpected(name), "details": details, "traceback": traceback.format_exc()})


def _grant_cpu(seconds: int) -> None:
    """Let the kernel end this process, by SIGXCPU, once it has used so much more processor time than it has by now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))


def main(fd: int, module: str, memory_limit_bytes: int, cpu_limit_seconds: int) -> None:
    """Import the module and serve its tasks over the socket `fd`; a limit of 0 is none."""
    # Nobody writes to our stdin: when the server dies, however it dies, its end closes and the kernel sends SIGIO to
    # the group, which ends us and our children even inside a C call that holds the interpreter lock.
    fcntl.fcntl(0, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold a visitor's clip
    with suppress(OSError):  # if memory runs out, a worker goes first, not the server, which replaces it
        Path("/proc/self/oom_score_adj").write_text("500")
    if memory_limit_bytes:
        with suppress(ValueError, OSError):  # macOS refuses it
            resource.setrlimit(resource.RLIMIT_AS, (memory_limit_bytes, memory_limit_bytes))
    worker = Worker(socket.socket(fileno=fd), cpu_limit_seconds)
    try:
        imported = importlib.import_module(module)
        start: Callable[[], Any] = getattr(imported, "start", dict)
        tasks: dict[str, Task] = imported.TASKS
        hello = start()
        worker.send(pack({"kind": "hello", "hello": hello if isinstance(hello, dict) else asdict(hello)}))
    except Exception as error:
        sentence = str(error) if isinstance(error, UserError) else ""  # about how the server was started
        details = sentence or f"{type(error).__name__}: {error}"
        why = sentence or traceback.format_exc()
        worker.send(pack({"kind": "broken", "details": details, "traceback": why}))
        sys.exit(1)
    worker.serve(tasks)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
