"""One worker process, as the server sees it: started, spoken to, ended, and its end put into words."""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.failures import process_ended
from engine.jobs import Job
from engine.messages import unpack
from vivit.records import from_json

ROOT = Path(__file__).parents[1]
PATIENCE = 0.5  # seconds between a closed socket and the exit that explains it


@dataclass(frozen=True)
class WorkerSpec:
    """How a worker is run.

    Args:
        module: the module with its TASKS, as `import` names it.
        time_limit: seconds a job may run before its process is ended; None: no limit.
        memory_limit_bytes: bound on the process's address space (RLIMIT_AS; macOS does not enforce it); None: no limit.
        cpu_limit_seconds: bound on the processor time of one job, all threads together (RLIMIT_CPU); None: no limit.
        environment: variables added to the server's own.
        start_time_limit: seconds from start to ready (imports, warm-up) before the start counts as failed.
        hello: the dataclass that the module's `start()` returns; `dict` for JSON as it is.
    """

    module: str
    time_limit: float | None = None
    memory_limit_bytes: int | None = None
    cpu_limit_seconds: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    start_time_limit: float = 180.0
    hello: type = dict


Answer = tuple[dict[str, Any], list[bytes]]  # a reply's header, which `_receive` has checked, and its blobs


class Overdue(Exception):
    """The job's time is up: its limit, or the grace after a cancel."""


class Process:
    """A worker process and the thread that reads from it.

    The thread writes `hello`, `broken` (why the start failed), `reply` and `gone` under `changed`, and before `gone` it writes
    `fault`: what was wrong with what the process sent. The engine writes `fault` too, for a reply of the wrong kind.
    """

    def __init__(self, spec: WorkerSpec, changed: threading.Condition) -> None:
        self.hello: Any = None
        self.broken: dict[str, str] | None = None
        self.job: Job[Any] | None = None
        self.reply: Answer | None = None
        self.gone = False
        self.fault = ""
        self._spec = spec
        self._changed = changed
        self._socket, theirs = socket.socketpair()
        # send() must come back now and then to look at the clock: a stopped worker reads nothing.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 100_000))
        command = [sys.executable, "-m", "engine.worker", str(theirs.fileno()), spec.module]
        command += [str(limit or 0) for limit in (spec.memory_limit_bytes, spec.cpu_limit_seconds)]
        try:
            with theirs:
                self._popen = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env={**os.environ, **spec.environment},
                    stdin=subprocess.PIPE,  # never written: the worker learns from its end that the server is gone
                    stdout=2,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        except OSError:
            self._socket.close()
            raise
        self._reader = threading.Thread(target=self._read, name=f"{spec.module}-reader", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as stream:
                while True:
                    header, blobs = unpack(stream)
                    with self._changed:
                        self._receive(header, blobs)
                        self._changed.notify_all()
        except (EOFError, OSError):
            pass
        except Exception as error:  # what a worker sends is not to be trusted, its shape included
            self.fault = f"{type(error).__name__}: {error}"
        finally:
            with self._changed:
                self.gone = True
                self._changed.notify_all()

    def _receive(self, header: dict[str, Any], blobs: list[bytes]) -> None:
        kind = header["kind"]
        if kind == "hello" and isinstance(header["hello"], dict):
            self.hello = header["hello"] if self._spec.hello is dict else from_json(self._spec.hello, header["hello"])
        elif kind == "broken":
            self.broken = {name: str(header[name]) for name in ("details", "traceback")}
        elif kind == "progress":  # a thread that a task left behind may still report on a job that has ended
            if self.job and header["job"] == self.job.id and not self.job._cancel_asked:
                self.job.progress = min(1.0, max(0.0, float(header["progress"])))
                self.job.note = str(header["note"])[:500]
        elif self.job is None or header["job"] != self.job.id or self.reply is not None:
            raise ValueError(f"'{kind}' for a job that is not running")
        elif header["state"] == "done" and isinstance(header["result"], dict):
            self.reply = header, blobs
        elif header["state"] == "failed":
            self.reply = {name: str(header[name]) for name in ("state", "error", "details", "traceback")}, []
        elif header["state"] == "cancelled":
            self.reply = {"state": "cancelled"}, []
        else:
            raise ValueError("malformed reply")

    def send(self, message: list[bytes | memoryview], job: Job[Any]) -> None:
        """Send a message, for as long as the job has time.

        Raises:
            Overdue: the time was up first.
            OSError: the process is gone.
        """
        for part in message:
            view = memoryview(part)
            while view:
                if time.monotonic() >= job._ends_by:
                    raise Overdue
                with suppress(BlockingIOError):
                    view = view[self._socket.send(view[: 2**20]) :]

    def dead(self) -> bool:
        """Whether the process is of no more use. It may have ended with the socket open: a child of it keeps that."""
        return self.gone or self._popen.poll() is not None

    def end(self) -> None:
        """End the process and all of its group, and leave nothing behind. May be called again."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()
        assert self._popen.stdin is not None
        self._popen.stdin.close()

    def end_explained(self) -> tuple[str, str]:
        """End a process that is dead or at fault; returns the sentence for the visitor, and the details."""
        status = None
        if not self.fault:
            with suppress(subprocess.TimeoutExpired):
                status = self._popen.wait(PATIENCE)
        self.end()
        return process_ended(status, self.fault)
