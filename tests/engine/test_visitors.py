"""Visitors come, go, come back, and reload."""

import errno
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest

from engine import Engine, WorkerSpec
from engine.uploads import Uploads
from engine.visitors import Visitors
from tests.engine.waiting import done
from tests.patience import until


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine({"work": WorkerSpec("tests.engine.tasks")})
    engine.start()
    yield engine
    engine.stop()


class HandWound(threading.Timer):
    """A timer whose time passes when told to."""

    started: ClassVar[list["HandWound"]] = []

    def start(self) -> None:
        self.started.append(self)

    @classmethod
    def pass_time(cls) -> None:
        """Let every timer end that was started and not cancelled; timers that these start go on."""
        due, cls.started[:] = [*cls.started], []
        for timer in due:
            if not timer.finished.is_set():
                timer.function(*timer.args)


@pytest.fixture(autouse=True)
def no_timer() -> None:
    HandWound.started.clear()


def test_the_time_of_grace_passes_by_itself() -> None:
    gone: list[str] = []
    visitors = Visitors(gone.append, grace=0.01)
    visitors.arrive("me")
    visitors.leave("me")
    until(lambda: gone == ["me"])


def test_who_stays_away_is_forgotten_once_and_who_comes_back_is_not() -> None:
    gone: list[str] = []
    visitors = Visitors(gone.append, timer=HandWound)
    for name in ("stays away", "comes back"):
        visitors.arrive(name)
        visitors.leave(name)
        visitors.leave(name)
    visitors.arrive("comes back")
    assert not gone
    HandWound.pass_time()
    HandWound.pass_time()
    assert gone == ["stays away"]


def test_who_is_connected_again_without_a_word_is_forgotten_only_once_they_go() -> None:
    gone: list[str] = []
    connected = {"my session"}
    visitors = Visitors(gone.append, connected.__contains__, timer=HandWound)
    visitors.arrive("me", "my session")
    visitors.leave("me")  # a moment's cut: the page is there again, and asks for nothing
    HandWound.pass_time()
    assert visitors.here("me") and not gone
    connected.clear()
    HandWound.pass_time()
    assert gone == ["me"] and not visitors.here("me")


def test_a_stranger_takes_nothing_over_from_whoever_reloads() -> None:
    visitors = Visitors(lambda visitor: None)
    for name in ("1-mine", "2-"):
        visitors.arrive(name, f"session of {name}", f"visit of {name}")
        visitors.leave(name)
    assert visitors.come_back("strangers", "another") is None
    assert visitors.come_back("", "another") is None, "whose browser has no name is nobody's"
    assert visitors.come_back("mine", "another") == "visit of 1-mine"


def test_a_reload_brings_the_visit_back_once(engine: Engine) -> None:
    gone: list[str] = []

    def leave(visitor: str) -> None:
        engine.forget(visitor)
        gone.append(visitor)

    connected = {"first", "second"}
    visitors = Visitors(leave, connected.__contains__, timer=HandWound)
    visitors.arrive("me-browser", "first", "my visit")
    job = engine.submit("work", "echo", {}, visitor="me-browser")
    assert visitors.come_back("browser", "second") is None, "its visitor is still here"
    connected.discard("first")
    visitors.leave("me-browser")
    assert visitors.come_back("browser", "second") == "my visit" and visitors.here("me-browser")
    assert visitors.come_back("browser", "third") is None, "one owner at a time"
    visitors.arrive("me-browser", "second", "my visit")
    visitors.leave("me-browser")  # what is heard of the former connection, late
    for _ in range(2):
        HandWound.pass_time()
    assert not gone, "who came back is not forgotten"
    done(job)


def test_of_those_who_left_a_browser_the_last_comes_back() -> None:
    connected = {"new", "3"}
    visitors = Visitors(lambda visitor: None, connected.__contains__)
    for name in ("1", "2", "3"):
        visitors.arrive(f"{name}-browser", name, name)
    for name in ("2", "1"):
        visitors.leave(f"{name}-browser")
    connected.discard("3")  # that this visitor has left has not been heard yet
    assert [visitors.come_back("browser", "new") for _ in range(4)] == ["3", "1", "2", None]


def test_uploads_are_private_one_a_visitor_and_gone_in_the_end() -> None:
    uploads = Uploads()
    first = uploads.keep("me", b"one")
    second = uploads.keep("me", memoryview(b"two"))
    other = uploads.keep("you", b"three")
    assert not first.exists() and second.read_bytes() == b"two" and other.exists()
    assert second.parent.stat().st_mode & 0o077 == 0, "nobody else may read them"
    assert second.suffix == ".clip" and "me" not in second.stem
    uploads.drop("you")
    uploads.drop("you")
    assert not other.exists()
    uploads.clear()
    assert not second.parent.exists()


def test_nobody_waits_while_a_file_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = Uploads(max_bytes=30)
    writing, written = threading.Event(), threading.Event()
    write = Path.write_bytes

    def slowly(path: Path, content: bytes) -> int:
        if len(content) == 20:
            writing.set()
            assert written.wait(90)
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", slowly)
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(uploads.keep, "me", bytes(20))
        assert writing.wait(90)
        try:
            small = uploads.keep("you", bytes(10))
            assert uploads.touch("you") and uploads.touch("me")
            uploads.touch("you")
            newer = uploads.keep("another", bytes(15))  # what is not yet whole counts whole, and makes room
        finally:
            written.set()
        path = large.result()
    assert small.exists() and newer.exists() and not uploads.touch("me") and not path.exists()
    assert sorted(newer.parent.iterdir()) == sorted([small, newer])
    uploads.clear()


def test_what_a_crashed_server_left_is_removed() -> None:
    crashed = "from engine.uploads import Uploads; import os; print(Uploads().keep('me', b'x')); os._exit(9)"
    left = subprocess.run([sys.executable, "-c", crashed], capture_output=True, text=True, check=False).stdout.strip()
    assert Path(left).exists()
    Uploads().clear()
    assert not Path(left).exists()


def test_a_running_servers_uploads_are_left_alone() -> None:
    ours = Uploads()
    path = ours.keep("me", b"x")
    code = "from engine.uploads import Uploads; Uploads().clear()"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert path.exists()
    ours.clear()


def test_the_oldest_idle_upload_makes_room_and_its_visitor_can_tell() -> None:
    uploads = Uploads(max_bytes=30)
    paths = {name: uploads.keep(name, bytes(10)) for name in "abc"}
    assert uploads.touch("a"), "whoever is at work is idle no longer"
    newest = uploads.keep("d", bytes(15))
    assert not paths["b"].exists() and not paths["c"].exists() and paths["a"].exists() and newest.exists()
    assert [uploads.touch(name) for name in "abcd"] == [True, False, False, True]
    assert uploads.keep("a", bytes(15)).exists() and newest.exists(), "one's own former file makes room first"
    uploads.clear()


def test_an_upload_that_the_disk_does_not_take_is_gone_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = Uploads()
    folder = uploads.keep("me", b"x").parent

    def full(path: Path, content: bytes) -> int:
        path.open("wb").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        uploads.keep("me", b"xyz")
    assert not list(folder.iterdir()) and not uploads.touch("me")
    uploads.clear()
