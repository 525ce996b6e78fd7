"""The server's side of the app: what every visitor shares, and the routes beside the pages."""

import gc
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from streamlit import runtime
from streamlit.runtime.pages_manager import PagesManager

from engine import Engine, WorkerSpec
from engine.checks import RunningCheck
from engine.comparisons import RunningComparison
from engine.evaluations import Evaluations
from engine.lessons import Lessons
from engine.live import Cameras
from engine.sweeps import Sweeps
from engine.tasks import HubState
from engine.timelines import RunningTimeline
from engine.uploads import Uploads
from engine.visitors import Visitors
from vivit.benchmark.results import results_folder
from vivit.machine import Machine
from vivit.threads import waiting

RECORDED = Path(__file__).parents[1] / "docs" / "results"  # sweeps that are checked in, for whoever has no such machine
# After a '--' on Streamlit's command line: checkpoints may be folders of this machine.
LOCAL_FOLDERS = "--local-folders"
ASK_FIRST = "--ask-first"  # after the '--' too: nothing is compared before a visitor asks for it
DEVICE = "--device"  # after the '--' too, followed by a name: what models run on
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
WORKERS = {
    "media": WorkerSpec(
        "engine.media",
        time_limit=30.0,
        memory_limit_bytes=4 * 2**30,
        cpu_limit_seconds=60,
        environment={"MALLOC_ARENA_MAX": "2"},  # or every thread reserves 64 MiB of the address space
    ),
    # Long videos, chunk by chunk: a classification's clip is not kept waiting.
    "film": WorkerSpec(
        "engine.films",
        time_limit=30.0,
        memory_limit_bytes=4 * 2**30,
        cpu_limit_seconds=120,
        environment={"MALLOC_ARENA_MAX": "2"},
    ),
    # KINETO: PyTorch's profiler, which records peak memory, would otherwise print a line for every run. One arena:
    # memory that is free at the end of another one glibc does not give back, and `vivit.heap` keeps it.
    "model": WorkerSpec(
        "engine.model",
        environment={"KINETO_LOG_LEVEL": "99", "MALLOC_ARENA_MAX": "1", **waiting()},
        hello=Machine,
    ),
    # Three of one kind: a long download keeps neither a look-up nor a clip waiting.
    "hub": WorkerSpec("engine.hub", hello=HubState),
    "download": WorkerSpec("engine.hub", hello=HubState),
    "download-clip": WorkerSpec("engine.hub", hello=HubState),
}


@dataclass(frozen=True)
class Server:
    """What every visitor shares."""

    engine: Engine
    uploads: Uploads
    visitors: Visitors
    sweeps: Sweeps
    evaluations: Evaluations
    comparisons: dict[str, RunningComparison]  # visitor → the one they began last
    checks: dict[str, list[RunningCheck[Any]]]  # visitor → those of theirs that may be running
    timelines: dict[str, RunningTimeline]  # visitor → the one they began last
    cameras: Cameras
    lessons: Lessons


_starting = threading.Lock()


def get_server() -> Server:
    """The one server of this process, its workers started on first use."""
    with _starting:
        return _start_server()


@cache  # and not Streamlit's cache_resource, which any visitor's browser can have cleared
def _start_server() -> Server:
    engine, uploads = Engine(WORKERS), Uploads()
    comparisons: dict[str, RunningComparison] = {}
    checks: dict[str, list[RunningCheck[Any]]] = {}
    timelines: dict[str, RunningTimeline] = {}
    cameras, lessons = Cameras(engine), Lessons(engine)

    def gone(visitor: str) -> None:
        engine.forget(visitor)
        uploads.drop(visitor)
        if running := comparisons.pop(visitor, None):
            running.cancel()
        for check in checks.pop(visitor, []):
            check.cancel()
        if timeline := timelines.pop(visitor, None):
            timeline.cancel()
        cameras.forget(visitor)
        if folder := lessons.drop(visitor):
            evaluations.forget(folder)

    def connected(session: str) -> bool:
        return runtime.exists() and runtime.get_instance().is_active_session(session)

    engine.start()
    sweeps = Sweeps(engine, results_folder(), [RECORDED])
    evaluations, visitors = Evaluations(engine, results_folder()), Visitors(gone, connected)
    return Server(engine, uploads, visitors, sweeps, evaluations, comparisons, checks, timelines, cameras, lessons)


def get_engine() -> Engine:
    """The engine that every visitor shares."""
    return get_server().engine


def get_machine() -> Machine | None:
    """What the model worker has found out about this machine; None until it is ready."""
    machine: Machine | None = get_engine().hello("model")
    return machine


def check_options() -> None:
    """Take in how the server was started, or end it, with a sentence, where that does not go together."""
    address = st.get_option("server.address")
    if LOCAL_FOLDERS in sys.argv and address not in THIS_MACHINE:
        sys.exit(
            f"{LOCAL_FOLDERS} lets visitors open folders of this machine, so it goes with --server.address 127.0.0.1 alone, "
            f"not with {address or 'every address'}. Leave one of the two away."
        )
    if DEVICE in sys.argv:
        name = sys.argv[sys.argv.index(DEVICE) + 1 :][:1]
        if not name or name[0].startswith("-"):
            sys.exit(f"{DEVICE} wants the name of a device after it, such as cpu or cuda:1.")
        os.environ["VIVIT_DEVICE"] = name[0]  # which the workers inherit


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of the web server's says anything: a tab that goes while it is sent something raises in Streamlit."""
    raised = record.exc_info[0] if record.exc_info else None
    return raised is None or raised.__name__ != "WebSocketDisconnected"


def offers_folders() -> bool:
    """Whether the visitor may name folders: the server was told so, and their browser is on this machine.

    A proxy on this machine is known by the headers in which it says for whom it asks.
    """
    forwarded = {"X-Forwarded-For", "X-Real-Ip", "Forwarded"} & set(st.context.headers.to_dict())
    return LOCAL_FOLDERS in sys.argv and st.context.ip_address is None and not forwarded


def compares_by_itself() -> bool:
    """Whether backends are compared after a visitor's first answer, without being asked."""
    return ASK_FIRST not in sys.argv


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """The workers are up before the first visitor, and gone with the server."""
    # What st.navigation itself sets: a first visitor by a deep link would otherwise get the page without its frame.
    PagesManager.uses_pages_directory = False
    for name in ("pandas", "plotly.graph_objects", "huggingface_hub.file_download"):
        import_module(name)  # first use by two visitors at once finds them half imported
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    server = get_server()
    # Streamlit collects garbage after every run, of fragments too: what will live as long as the server need not be
    # looked through each time, which took a tenth of a second and held all visitors up.
    gc.collect()
    gc.freeze()
    yield
    server.engine.stop()
    server.uploads.clear()
    server.lessons.clear()


async def healthz(request: Request) -> PlainTextResponse:
    """Answers 'ok' while every worker lives."""
    down = [name for name, alive in get_engine().alive().items() if not alive]
    return PlainTextResponse(f"down: {', '.join(down)}" if down else "ok", 503 if down else 200)


def routes(more: Sequence[Route] = ()) -> list[Route]:
    """The server's own routes, at its root and below its base path, where a proxy that passes on nothing else asks.

    Args:
        more: routes beside that of its health.
    """
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    places = dict.fromkeys(("", f"/{base}" if base else ""))
    own = [Route("/healthz", healthz), *more]
    return [Route(f"{place}{one.path}", one.endpoint, methods=one.methods) for place in places for one in own]
