"""A process that calls `vivit.hub` for the tests: huggingface_hub reads HF_ENDPOINT and HF_HOME once, at import.

Run as `python -m tests.hub_client`, it answers lines of JSON with lines of JSON; `Client` is the other side.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class Stop(Exception):
    """Raised by a test's progress to cancel."""


def clean(**changes: str) -> dict[str, str]:
    """This environment without what would redirect or quieten the client, and with `changes`."""
    names = ("HF_", "TRANSFORMERS_", "HUGGING", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    return {k: v for k, v in os.environ.items() if not k.upper().startswith(names)} | changes


class Client:
    """Another process, kept for many calls.

    Args:
        environment: its variables, HF_ENDPOINT and HF_HOME above all.
    """

    def __init__(self, **environment: str) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe that nobody reads would fill up
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hub_client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=clean(**environment),
            cwd=ROOT,
            text=True,
        )

    def start(self, function: str, stop_at: float | None = None, **arguments: Any) -> None:
        """Begin a call of a function of `vivit.hub`; from the fraction `stop_at` of its progress on, it is cancelled."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps([function, stop_at, arguments]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Of the call: "result", or "error", "class" and "details" if it raised; and always "notes" and "seconds"."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, self.log()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def call(self, function: str, stop_at: float | None = None, **arguments: Any) -> dict[str, Any]:
        """`start` and `answer`."""
        self.start(function, stop_at, **arguments)
        return self.answer()

    def log(self) -> str:
        """All that the process has written to stderr, where every logger writes."""
        self._log.seek(0)
        return self._log.read()

    def close(self) -> None:
        """End the process as `kill -9` does."""
        self._process.kill()
        self._process.communicate()
        self._log.close()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _serve() -> None:
    import logging
    import socket
    import time

    from vivit import hub

    logging.basicConfig(level=logging.DEBUG)
    if os.environ.get("NO_NAMES"):

        def no_name(*arguments: Any, **options: Any) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        socket.getaddrinfo = no_name
    for line in sys.stdin:
        function, stop_at, arguments = json.loads(line)
        notes: list[tuple[float, str]] = []

        def progress(
            fraction: float, note: str, notes: list[tuple[float, str]] = notes, stop_at: float | None = stop_at
        ) -> None:
            notes.append((fraction, note))
            if stop_at is not None and fraction >= stop_at:
                raise Stop

        if function in ("download", "download_clip", "list_clips"):
            arguments["progress"] = progress
        began, reply = time.monotonic(), {}
        try:
            reply["result"] = _plain(getattr(hub, function)(**arguments))
        except Exception as error:
            reply |= {"error": str(error), "class": type(error).__name__, "details": getattr(error, "details", "")}
        print(json.dumps(reply | {"notes": notes, "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    _serve()
