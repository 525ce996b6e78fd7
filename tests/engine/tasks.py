"""Tasks for the engine's tests: what a worker may do, and every way in which it may misbehave."""

import ctypes
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from threading import Thread
from typing import Any

from engine import Cancelled
from vivit.errors import UserError
from vivit.progress import Progress

Answer = tuple[dict[str, Any], list[bytes]]


class BadClip(UserError):
    pass


def start() -> dict[str, Any]:
    return {"pid": os.getpid(), "colour": os.environ.get("COLOUR", "")}


def echo(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    return arguments | {"pid": os.getpid(), "sizes": [len(blob) for blob in blobs]}, blobs[::-1]


def steps(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """Report progress for `seconds`, as from within a library that catches every Exception."""
    for step in range(int(arguments["seconds"] / 0.02)):
        try:
            progress(min(1.0, step * 0.02 / arguments["seconds"]), f"step {step // 10}")
        except Exception:
            continue
        time.sleep(0.02)
    return {"pid": os.getpid()}, []


def chatty(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """Leave a thread behind that goes on reporting."""

    def go_on() -> None:
        for step in range(20):
            progress(0.5, str(step))
            time.sleep(0.01)

    Thread(target=go_on, daemon=True).start()
    return {"pid": os.getpid()}, []


def deaf(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """One long C call that lets other threads run, with every signal that can be ignored ignored."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    progress(0.5, "deaf")
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2**31 - 1)
    return {}, []


def burn(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """Use `seconds` of processor time in all, in `threads` threads, in C calls that release the interpreter lock."""

    def work() -> None:
        while time.thread_time() < arguments["seconds"] / arguments["threads"]:
            hashlib.pbkdf2_hmac("sha256", b"x", b"y", 50_000)

    threads = [Thread(target=work) for _ in range(arguments["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {}, []


def frozen(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """One long C call that holds the interpreter lock: no other thread of the process runs."""
    progress(0.5, "frozen")
    re.match(r"(a+)+$", "a" * 60 + "b")
    return {}, []


def swallows(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    while True:
        with suppress(Cancelled):
            progress(0.1, "swallowing")
        time.sleep(0.02)


def die(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    os.kill(os.getpid(), arguments["signal"])
    time.sleep(10)
    return {}, []


def segfault(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    ctypes.string_at(0)
    return {}, []


def leave(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    sys.exit(3)


def family(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """Start a child of the worker's own, say its id, and wait for it; the child may ignore signals."""
    ignore = "import signal; signal.signal(signal.SIGIO, signal.SIG_IGN)" if arguments.get("stubborn") else ""
    code = f"{ignore}\nprint(flush=True)\nimport time; time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout and child.stdout.readline()
    progress(0.5, f"child {child.pid}")
    child.wait()
    return {}, []


def orphan(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """Leave a forked child that holds the connection open, and die."""
    if os.fork() == 0:
        time.sleep(600)
    os._exit(4)


def allocate(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    return {"bytes": len(bytearray(arguments["bytes"]))}, []


def fail(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    if arguments["expected"]:
        raise BadClip("This clip has no video. Choose another.", "no stream of type video")
    raise LookupError("codec 99 in a place nobody foresaw")


def not_finite(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    return {"score": float("nan")}, []


def raw(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """Write bytes of one's own choice to the server, past the engine, as a subverted process could."""
    os.write(int(sys.argv[1]), blobs[0])
    time.sleep(600)
    return {}, []


GOOD = (echo, steps, chatty, family, allocate, burn)
BAD = (deaf, frozen, swallows, die, segfault, leave, orphan, fail, not_finite, raw)
TASKS = {task.__name__: task for task in GOOD + BAD}
