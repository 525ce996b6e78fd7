"""The film worker, as the app runs it: films chunk by chunk, several at once, put away, broken, and the worker killed."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from engine import Engine
from engine.films import CHUNK_TICKS, EXTRACT_FPS, EXTRACT_HEIGHT, MOST_OPEN
from engine.messages import Request
from engine.tasks import EXTRACT_SECONDS, CloseFilm, FilmChunk, MakeExtract, ReadFilm, ReadMoment
from tests.clips import read_number, write_clip
from tests.engine.waiting import app_engine, done, worker
from tests.patience import until
from tests.vivit.video.test_reading import CLOSED_GOP
from vivit.checkpoint import open_checkpoint
from vivit.film import Tick
from vivit.video.streaming import open_film

MANNEQUIN = "vivit-mannequin"
TICK = 0.1


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with app_engine("film") as engine:
        yield engine


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """60 s whose every picture carries its number."""
    file = tmp_path_factory.mktemp("films") / "film.mp4"
    return str(write_clip(file, 1500, rate=25, codec_options=CLOSED_GOP))


def read(engine: Engine, request: ReadFilm) -> tuple[FilmChunk, list[Tick]]:
    job = done(engine.ask(request))
    chunk = job.result
    pixels = np.frombuffer(job.blobs[0], np.uint8).reshape(chunk.shape)
    return chunk, [Tick(number, seconds, pixels[row]) for number, seconds, row in chunk.ticks]


def read_to_end(engine: Engine, film: int, path: str, first: int = 0, begin: float | None = None) -> list[Tick]:
    found: list[Tick] = []
    while True:
        chunk, ticks = read(engine, ReadFilm(film, path, MANNEQUIN, TICK, first + len(found), begin))
        assert len(ticks) <= CHUNK_TICKS
        found, begin = found + ticks, chunk.info.begin_seconds
        if chunk.ended:
            return found


def here(path: str) -> list[Tick]:
    """All ticks of the film, read in this process."""
    processor = open_checkpoint(MANNEQUIN, weights=False).processor
    with open_film(path) as film:
        return list(film.ticks(TICK, processor.resize_and_crop))


def assert_same(found: list[Tick], wanted: list[Tick]) -> None:
    assert [(tick.number, tick.seconds) for tick in found] == [(tick.number, tick.seconds) for tick in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)


def held(path: str) -> bool:
    """Whether the worker has the file open."""
    return any(file.path == path for file in worker("engine.films").open_files())


def test_chunks_are_the_film(engine: Engine, path: str) -> None:
    assert_same(read_to_end(engine, 1, path), here(path))
    assert not held(path), "an ended film is put away"


def test_a_film_is_read_on_and_not_again(engine: Engine, path: str) -> None:
    first, ticks = read(engine, ReadFilm(2, path, MANNEQUIN, TICK))
    assert first.opened and not first.ended and held(path) and first.info.promised_seconds == pytest.approx(60)
    second, more = read(engine, ReadFilm(2, path, MANNEQUIN, TICK, len(ticks), 0.0))
    assert not second.opened and more[0].number == len(ticks)
    assert first.decoded < second.decoded <= 2.5 * len(ticks + more) + 3, "each picture once"
    done(engine.ask(CloseFilm(2)))
    assert not held(path)
    done(engine.ask(CloseFilm(2)))  # once more does nothing


def test_several_films_do_not_mix_and_one_gives_way(engine: Engine, path: str) -> None:
    wanted, films = here(path), range(10, 10 + MOST_OPEN + 1)
    found: dict[int, list[Tick]] = {film: [] for film in films}
    opened = 0
    for _ in range(3):
        for film in films:
            chunk, ticks = read(engine, ReadFilm(film, path, MANNEQUIN, TICK, len(found[film]), 0.0))
            opened += chunk.opened
            found[film] += ticks
            assert sum(file.path == path for file in worker("engine.films").open_files()) <= MOST_OPEN
    assert opened > len(films), "one was put away, and opened again"
    for ticks in found.values():
        assert_same(ticks, wanted[: len(ticks)])
    for film in films:
        done(engine.ask(CloseFilm(film)))


def test_a_chunk_that_was_lost_can_be_asked_for_again(engine: Engine, path: str) -> None:
    _, ticks = read(engine, ReadFilm(20, path, MANNEQUIN, TICK))
    again, same = read(engine, ReadFilm(20, path, MANNEQUIN, TICK, 0, 0.0))
    assert again.opened
    shared = min(len(ticks), len(same))
    assert_same(same[:shared], ticks[:shared])
    done(engine.ask(CloseFilm(20)))


def test_a_worker_that_was_killed_goes_on_where_it_was_asked_to(engine: Engine, path: str) -> None:
    _, ticks = read(engine, ReadFilm(30, path, MANNEQUIN, TICK))
    restarts = engine.restarts("film")
    worker("engine.films").kill()
    until(lambda: engine.restarts("film") > restarts and engine.state("film") == "ready")
    rest = read_to_end(engine, 30, path, len(ticks), 0.0)
    assert_same(ticks + rest, here(path))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "This clip is empty"), (b"notes\n" * 99, "This clip is plain text")],
    ids=["empty", "text"],
)
def test_a_file_that_is_no_film_is_a_sentence(engine: Engine, tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "a0b1c2.mp4"
    file.write_bytes(content)
    requests: tuple[Request[Any], ...] = (
        ReadFilm(40, str(file), MANNEQUIN, TICK),
        ReadMoment(str(file), MANNEQUIN, TICK, 0.0, 10, 4),
        MakeExtract(str(file), 0.0, 1.0, 2.0),
    )
    for request in requests:
        job = engine.ask(request)
        assert job.wait(180) and job.state == "failed" and job.error.startswith(said)
        assert "a0b1c2" not in job.error + job.details
    assert engine.alive()["film"]


def test_a_cancelled_chunk_leaves_nothing_open(engine: Engine, path: str) -> None:
    done(engine.ask(ReadFilm(50, path, MANNEQUIN, TICK)))
    job = engine.ask(ReadFilm(50, path, MANNEQUIN, 10.0, 6, 0.0))  # all of the film for one picture
    until(lambda: job.state != "queued")
    engine.cancel(job)
    assert job.wait(90)
    assert job.state in ("cancelled", "done")  # it may have been over a moment before
    done(engine.ask(CloseFilm(50)))
    assert not held(path)


def test_a_moments_pictures_are_those_of_its_window(engine: Engine, path: str) -> None:
    job = done(engine.ask(ReadMoment(path, MANNEQUIN, TICK, 0.0, 400, 16)))
    wanted = here(path)[400:416]
    assert job.result.seconds == tuple(tick.seconds for tick in wanted)
    assert len(job.blobs) == 16
    for blob, tick in zip(job.blobs, wanted, strict=True):
        picture = np.asarray(Image.open(io.BytesIO(blob)))
        assert picture.shape == tick.image.shape and np.abs(picture.astype(int) - tick.image).mean() < 6
    last = done(engine.ask(ReadMoment(path, MANNEQUIN, TICK, 0.0, 595, 16)))
    assert len(last.blobs) == len(last.result.seconds) == 5, "the film ends before the window does"


def test_an_extract_is_that_stretch(engine: Engine, path: str) -> None:
    def pictures(start: float, end: float) -> list[np.ndarray]:
        (file,) = done(engine.ask(MakeExtract(path, 0.0, start, end))).blobs
        with av.open(io.BytesIO(file), "r") as container:
            assert container.streams.video[0].codec_context.name == "h264"
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]

    found = pictures(20.0, 23.0)
    assert len(found) == pytest.approx(3 * 25, abs=20) and found[0].shape[0] <= EXTRACT_HEIGHT
    read = [read_number(picture) for picture in found]
    assert read == sorted(read) and read[0] == 500 and 570 <= read[-1] <= 575
    longest = pictures(0.0, 60.0)
    assert len(longest) <= EXTRACT_SECONDS * EXTRACT_FPS + 1
    assert read_number(longest[-1]) <= EXTRACT_SECONDS * 25
