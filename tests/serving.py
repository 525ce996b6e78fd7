"""A web server on 127.0.0.1 for a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread


@contextmanager
def running(server: HTTPServer) -> Iterator[str]:
    """Have a server answer within this context; gives its address. Even if the test fails, nothing waits for it afterwards."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    with server:
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """Keeps no log."""

    def log_message(self, *_: object) -> None:
        pass


def serving(folder: Path) -> ThreadingHTTPServer:
    """A server of a folder's files."""
    return ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))


class Stalling(ThreadingHTTPServer):
    """Begins to send a clip of 1,000 bytes, sets `begun`, and breaks off once the test sets `over`, or after 120 s."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Stalled)
        self.begun, self.over = Event(), Event()


class _Stalled(Quiet):
    server: Stalling

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"begun")
        self.server.begun.set()
        self.server.over.wait(120)
