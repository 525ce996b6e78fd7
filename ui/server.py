"""The server's side of the app: what every visitor shares, and the routes beside the pages."""

import gc
import logging
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module

import streamlit as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from streamlit import runtime
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.web.server.starlette.starlette_app_utils import decode_xsrf_token_string
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

from engine import Engine, WorkerSpec
from engine.benchmark import Sweeps
from engine.uploads import Uploads
from engine.visitors import Visitors
from vivit.benchmark.results import RECORDED, results_folder

WORKERS = {
    "media": WorkerSpec(
        "engine.media",
        time_limit=30.0,
        memory_limit_bytes=4 * 2**30,
        cpu_limit_seconds=60,
        environment={"MALLOC_ARENA_MAX": "2"},  # or every thread reserves 64 MiB of the address space
    ),
    # KINETO: PyTorch's profiler, which records peak memory, would otherwise print a line for every run.
    "model": WorkerSpec("engine.model", environment={"KINETO_LOG_LEVEL": "99", "KINETO_USE_DAEMON": ""}),
    # Three of one kind: a long download keeps neither a look-up nor a clip waiting.
    "hub": WorkerSpec("engine.hub"),
    "download": WorkerSpec("engine.hub"),
    "download-clip": WorkerSpec("engine.hub"),
}


@dataclass(frozen=True)
class Server:
    """What every visitor shares."""

    engine: Engine
    uploads: Uploads
    visitors: Visitors
    sweeps: Sweeps


_starting = threading.Lock()


def get_server() -> Server:
    """The one server of this process, its workers started on first use."""
    with _starting:
        return _start_server()


@cache  # and not Streamlit's cache_resource, which any visitor's browser can have cleared
def _start_server() -> Server:
    engine, uploads = Engine(WORKERS), Uploads()

    def gone(visitor: str) -> None:
        engine.forget(visitor)
        uploads.drop(visitor)

    def connected(session: str) -> bool:
        return runtime.exists() and runtime.get_instance().is_active_session(session)

    engine.start()
    return Server(engine, uploads, Visitors(gone, connected), Sweeps(engine, results_folder(), [RECORDED]))


def get_engine() -> Engine:
    """The engine that every visitor shares."""
    return get_server().engine


def visitor() -> str:
    """Who is looking: one name a browser tab, which ends in what all tabs of a browser share."""
    return _present(st.session_state.setdefault("visitor", f"{uuid.uuid4().hex}-{_browser()}"))


# Released when the connection is lost; and then not made anew before the visitor's next click, if they reconnect.
@st.cache_resource(scope="session", show_spinner=False, on_release=lambda visitor: get_server().visitors.leave(visitor))
def _present(visitor: str) -> str:
    context = get_script_run_ctx()
    get_server().visitors.arrive(visitor, context.session_id if context else "")
    return visitor


def _browser() -> str:
    """A name for the visitor's browser, made of the secret that Streamlit gives each against forged requests."""
    token, _ = decode_xsrf_token_string(st.context.cookies.get(XSRF_COOKIE_NAME, ""))
    return sha256(token).hexdigest()[:8] if token else ""


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of the web server's says anything: a tab that goes while it is sent something raises in Streamlit."""
    raised = record.exc_info[0] if record.exc_info else None
    return raised is None or raised.__name__ != "WebSocketDisconnected"


def sits_here() -> bool:
    """Whether the visitor's browser is on this machine: they may name its folders. A proxy says for whom it asks."""
    forwarded = {"X-Forwarded-For", "X-Real-Ip", "Forwarded"} & set(st.context.headers.to_dict())
    return st.context.ip_address is None and not forwarded


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


async def healthz(request: Request) -> PlainTextResponse:
    """Answers 'ok' while every worker lives."""
    down = [name for name, alive in get_engine().alive().items() if not alive]
    return PlainTextResponse(f"down: {', '.join(down)}" if down else "ok", 503 if down else 200)


routes = [Route("/healthz", healthz)]
