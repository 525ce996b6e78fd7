"""Clips by address, from a real server on 127.0.0.1 that misbehaves where it is asked to."""

import asyncio
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from tests.serving import Stalling, running
from vivit.errors import UserError
from vivit.fetching import FetchError, fetched, file_name, is_address
from vivit.temporary import OPEN_FOLDERS

CONTENT = bytes(range(256)) * 40


class Server(ThreadingHTTPServer):
    """Answers by path and keeps what it was asked; handlers that keep a client waiting go on once `over` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []  # path, Authorization
        self.over = threading.Event()

    def address(self, path: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers["Authorization"]))
        self.close_connection = True
        with suppress(ConnectionError):  # a client that leaves is what some tests are about
            getattr(self, self.path.split("/")[1].split("?")[0].split(".")[0])()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def clip(self) -> None:
        self.answer(200, CONTENT)

    def missing(self) -> None:
        self.answer(404, b"no such thing")

    def odd(self) -> None:
        self.answer(799)

    def empty(self) -> None:
        self.answer(204)

    def once(self) -> None:
        self.answer(302, Location="/clip.mp4")

    def loop(self) -> None:
        self.answer(301, Location="/loop")

    def steps(self) -> None:
        left = int(self.path.rsplit("/", 1)[1])
        self.answer(307, Location=f"/steps/{left - 1}" if left > 1 else "/clip.mp4")

    def elsewhere(self) -> None:
        self.answer(302, Location="file:///etc/hostname?secret=1")

    def nowhere(self) -> None:
        self.answer(302, Location="http://[:::secret")

    def port(self) -> None:
        self.answer(302, Location="http://127.0.0.1:99999/secret")

    def promise(self) -> None:
        """Says that it is large, and sends nothing: whoever waits for the body waits for ever."""
        self.answer(200, Content_Length=str(10**12))
        self.server.over.wait()

    def lie(self) -> None:
        """Promises ten bytes and sends pieces without end."""
        self.answer(200, Content_Length="10", Transfer_Encoding="chunked")
        while not self.server.over.is_set():
            self.wfile.write(b"1000\r\n" + bytes(0x1000) + b"\r\n")

    def endless(self) -> None:
        """Promises nothing: the end of the connection is the end of the body."""
        self.send_response(200)
        self.end_headers()
        while not self.server.over.is_set():
            self.wfile.write(bytes(0x1000))

    def short(self) -> None:
        self.answer(200, CONTENT, Content_Length=str(len(CONTENT) + 1))

    def nonsense(self) -> None:
        self.wfile.write(b"I am no web server\r\n\r\n")

    def drip(self) -> None:
        """Byte after byte, each long before any limit for a single read; all of them in ten seconds."""
        self.answer(200, Content_Length="1000")
        self._drop(b".")

    def drips(self) -> None:
        """The same within the headers."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        self._drop(b"a")
        self.wfile.write(b"\r\nContent-Length: 0\r\n\r\n")

    def _drop(self, byte: bytes) -> None:
        for _ in range(1000):
            self.server.over.wait(0.01)
            self.wfile.write(byte)

    def silent(self) -> None:
        self.server.over.wait(10)
        self.answer(200, CONTENT)


@pytest.fixture(autouse=True)
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's proxy knows no 127.0.0.1 of ours."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with running(server):
        try:
            yield server
        finally:
            server.over.set()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, of which none may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not [*folder.iterdir()] and not OPEN_FOLDERS


def refused(address: str, **limits: float) -> str:
    """The sentence, which has no secret in it and nothing more behind it."""
    with pytest.raises(FetchError) as caught, fetched(address, **limits):  # type: ignore[arg-type]
        raise AssertionError("it was fetched")
    error = caught.value
    sentence = str(error)
    assert isinstance(error, UserError) and (error.__suppress_context__ or error.__context__ is None)
    assert "secret" not in f"{sentence}{error.details}" and "\n" not in sentence
    assert sentence.endswith(".") and sentence.count(". ") == 1, sentence  # what failed, and what to do next
    return sentence


@pytest.mark.parametrize("path", ["/clip.mp4", "/clip.mp4?signature=1&name=b.mov", "/once", "/steps/5"])
def test_a_clip_is_fetched_and_removed(server: Server, temporary: Path, path: str) -> None:
    with fetched(server.address(path)) as file:
        assert file.read_bytes() == CONTENT
        assert file.parent.parent == temporary
        assert file.name == ("clip.mp4" if path.startswith("/clip") else path.rsplit("/", 1)[1])
    assert not file.exists() and server.requests[0][0] == path


def test_how_far_it_is_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivit.fetching.TOLD_EVERY", 1000)
    told: list[tuple[float, str]] = []
    with fetched(server.address("/clip.mp4"), progress=lambda fraction, note: told.append((fraction, note))):
        pass
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and fractions[0] > 0 and "clip.mp4: 0" in told[0][1]


def test_what_is_fetched_goes_by_its_name(server: Server) -> None:
    with (
        pytest.raises(FetchError, match="download the checkpoint yourself"),
        fetched(server.address("/missing"), what="checkpoint"),
    ):
        raise AssertionError("it was fetched")
    with pytest.raises(FetchError, match="such as https://host/checkpoint"), fetched("http://", what="checkpoint"):
        raise AssertionError("it was fetched")


def test_the_file_is_removed_when_its_reader_fails(server: Server) -> None:
    with pytest.raises(ZeroDivisionError), fetched(server.address("/clip.mp4")):
        raise ZeroDivisionError


def test_a_user_and_a_password_are_sent_to_the_host_and_said_to_no_one(server: Server) -> None:
    with fetched(server.address("/clip.mp4", user="me:secret@")):
        pass
    assert server.requests[0][1] == "Basic bWU6c2VjcmV0"
    sentence = refused(server.address("/missing.mp4?key=secret", user="me:secret@"))
    assert f"'http://127.0.0.1:{server.server_port}/missing.mp4'" in sentence and "404 (Not Found)" in sentence


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/missing?key=secret", "status 404 (Not Found)"),
        ("/odd?key=secret", "status 799."),
        ("/empty?key=secret", "status 204 (No Content)"),
        ("/loop?key=secret", "more than 5 times"),
        ("/steps/6?key=secret/6", "more than 5 times"),
        ("/elsewhere?key=secret", "neither https:// nor http://"),
        ("/nowhere?key=secret", "status 302 (Found)"),
        ("/port?key=secret", "broke"),
        ("/short?key=secret", "broke"),
        ("/nonsense?key=secret", "broke"),
    ],
)
def test_what_goes_wrong_is_a_sentence(server: Server, path: str, words: str) -> None:
    sentence = refused(server.address(path))
    assert words in sentence and f"'http://127.0.0.1:{server.server_port}{path.partition('?')[0]}'" in sentence
    assert len(server.requests) == (6 if "5 times" in words else 1)


@pytest.mark.parametrize("path", ["/promise", "/lie", "/endless"])
def test_no_more_than_the_limit_is_taken(server: Server, path: str) -> None:
    """Two of them never end, and one never begins: a call that returns has stopped at the limit."""
    assert "larger than 0.5 MB" in refused(server.address(path), most_bytes=2**19)


def test_as_many_bytes_as_the_limit_are_taken(server: Server) -> None:
    with fetched(server.address("/clip.mp4"), most_bytes=len(CONTENT)) as file:
        assert file.stat().st_size == len(CONTENT)
    assert "larger" in refused(server.address("/clip.mp4"), most_bytes=len(CONTENT) - 1)


@pytest.mark.parametrize("path", ["/drip", "/drips", "/silent"])
def test_no_more_than_the_time_is_taken(server: Server, path: str) -> None:
    """All of them would come to an end in ten seconds, and no read of the first two takes long."""
    assert "within 0.3 s" in refused(server.address(path), most_seconds=0.3)


def test_a_notebook_may_fetch_too(server: Server) -> None:
    """Its cells run within an event loop."""

    async def cell() -> int:
        with fetched(server.address("/clip.mp4")) as file:
            return file.stat().st_size

    with ThreadPoolExecutor(1) as thread:  # in the tests' own a browser's loop may run, which asyncio.run refuses
        assert thread.submit(lambda: asyncio.run(cell())).result() == len(CONTENT)


@contextmanager
def while_it_stalls(act: Callable[[], object]) -> Iterator[str]:
    """The address of a clip that never comes; once it has begun to, `act` is called, which must end the block."""
    server, left, in_time = Stalling(), threading.Event(), []

    def acting() -> None:
        if server.begun.wait(60):
            act()
            in_time.append(left.wait(20))  # of the 60 s that a transfer may take
        server.over.set()

    thread = threading.Thread(target=acting, daemon=True)
    with running(server) as base:
        thread.start()
        try:
            yield f"{base}/clip.mp4"
        finally:
            left.set()
            thread.join()
    assert in_time == [True]
    for thread in threading.enumerate():
        if thread.name.startswith("vivit-fetch"):
            thread.join(20)
            assert not thread.is_alive()


def test_an_interrupt_breaks_a_transfer_off() -> None:
    interrupt = partial(os.kill, os.getpid(), signal.SIGINT)
    with while_it_stalls(interrupt) as address, pytest.raises(KeyboardInterrupt), fetched(address):
        raise AssertionError("it was fetched")


def test_a_transfer_that_is_given_up_is_broken_off(server: Server) -> None:
    given_up: Future[None] = Future()
    with fetched(server.address("/clip.mp4"), given_up=given_up) as file:
        assert file.read_bytes() == CONTENT
    give_up = partial(given_up.set_result, None)
    with while_it_stalls(give_up) as address, pytest.raises(CancelledError), fetched(address, given_up=given_up):
        raise AssertionError("it was fetched")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://u:secret@127.0.0.1:1"),
        ("HTTP_PROXY", "secret://127.0.0.1:1"),
        ("SSL_CERT_FILE", "/no/such/secret"),
        ("SSL_CERT_FILE", "/dev/null"),
    ],
)
def test_what_the_environment_says_may_be_of_no_use(
    server: Server, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert name in refused(server.address("/clip.mp4")) and not server.requests


def test_a_proxy_that_refuses(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", server.address("", user="u:secret@"))
    assert "proxy" in refused("https://127.0.0.1:1/a.mp4?secret") and not server.requests


def test_a_host_that_speaks_no_tls(server: Server) -> None:
    assert "TLS" in refused(server.address("/clip.mp4?secret").replace("http:", "https:")) and not server.requests


def test_a_certificate_that_nobody_vouches_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(*_: object) -> None:
        raise httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate")

    monkeypatch.setattr("vivit.fetching._answer", answer)
    assert "certificate of the host" in refused("https://u:secret@host/a.mp4?secret")


@pytest.mark.parametrize(("file", "why"), [("/dev/full", "no space left"), ("/no/such/folder/clip", "no such file")])
def test_a_file_that_cannot_be_written(server: Server, monkeypatch: pytest.MonkeyPatch, file: str, why: str) -> None:
    monkeypatch.setattr("vivit.fetching.file_name", lambda _: file)
    assert f"temporary folder ({why}" in refused(server.address("/clip.mp4?secret"))


def test_a_host_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert "cannot be reached" in refused(f"http://u:secret@127.0.0.1:{port}/a.mp4?secret")


def test_a_host_without_an_address() -> None:
    """No resolver is asked for a numeric address that is none."""
    assert "could not be looked up" in refused("http://u:secret@127.0.0.1%251/a.mp4?secret")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://u:secret@host/clip.mp4", "ftp://"),
        ("file:///etc/secret", "file://"),
        ("HDFS://host/secret", "hdfs://"),
        ("http:///secret.mp4", "no host"),
        ("https://u:secret@/", "no host"),
        ("http://[::1/secret", "understood"),
        ("http://host/\udcff?secret", "understood"),
        ("http://host:secret/", "understood"),
        ("http://127.0.0.1:99999/", "port"),
    ],
)
def test_an_address_that_is_none(address: str, words: str) -> None:
    assert words in refused(address)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("http://host/a.mp4", True),
        ("HTTPS://host", True),
        ("ftp://host", True),
        ("s3+x://bucket/key", True),
        ("/home/me/a.mp4", False),
        ("folder/http://a.mp4", False),
        ("C:\\clips\\a.mp4", False),
        ("C://clips/a.mp4", False),
        ("12://a", False),
        ("a.mp4", False),
        ("", False),
    ],
)
def test_addresses_are_told_from_paths(text: str, is_one: bool) -> None:
    assert is_address(text) == is_one


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/clip-1_2.mp4", "clip-1_2.mp4"),
        ("/", "clip"),
        ("", "clip"),
        ("/..", "clip"),
        ("/.hidden.mp4", "hidden.mp4"),
        ("/a b\0\n\u00e9\\.mp4", "a_b____.mp4"),
        ("/" + "x" * 300 + ".mp4", "x" * 96 + ".mp4"),
    ],
)
def test_names_for_files(path: str, name: str) -> None:
    assert file_name(path) == name
