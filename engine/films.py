"""The film worker's tasks: films of any length, decoded on chunk by chunk. No torch."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from engine.clips import called_this_clip, container_name
from engine.holding import hold
from engine.tasks import (
    EXTRACT_SECONDS,
    CloseFilm,
    DescribeFilm,
    FilmChunk,
    HoldFilms,
    MakeExtract,
    MomentPictures,
    Nothing,
    ReadFilm,
    ReadMoment,
)
from engine.worker import typed
from vivit.checkpoint import open_checkpoint
from vivit.film import FilmInfo, Tick
from vivit.progress import Progress
from vivit.video.container import TellFraction
from vivit.video.preview import encode_mp4
from vivit.video.streaming import FILM_LIMITS, Film, open_film

CHUNK_SECONDS = 0.5  # about what one job takes
CHUNK_LIMIT = 25.0  # what it may take, and ends with a sentence before the worker's 30 s end its process
# The time counts from the opening of a film, which takes as long as its first picture does.
LIMITS = replace(FILM_LIMITS, max_seconds=CHUNK_LIMIT)
CHUNK_TICKS = 64  # pictures that one job answers with at most
MOST_OPEN = 4  # films; a decoder of large pictures holds 100 MB
EXTRACT_FPS, EXTRACT_HEIGHT = 30.0, 360  # at most


@dataclass
class _Open:
    """A film that is open. Args: info: what it holds; next_tick: number of the tick that comes next; close: closes it."""

    film: Film
    info: FilmInfo
    ticks: Iterator[Tick]
    next_tick: int
    close: ExitStack


_OPEN: dict[int, _Open] = {}  # by number; the film that was read last comes last


def describe_film(request: DescribeFilm, blobs: list[bytes], progress: Progress) -> tuple[FilmInfo, list[bytes]]:
    """Find out what a film holds; progress is not called."""
    with called_this_clip(request.path), open_film(request.path, limits=LIMITS) as film:
        return _info(film, request.path), []


def _info(film: Film, path: str) -> FilmInfo:
    return replace(film.info, container=container_name(film.info.container, Path(path)))


def read_film(request: ReadFilm, blobs: list[bytes], progress: Progress) -> tuple[FilmChunk, list[bytes]]:
    """Decode a film on; progress is called as it is read."""
    with called_this_clip(request.path):
        found, opened = _resume(request, progress)
        film, begin = found.film, time.monotonic()
        pictures: list[np.ndarray] = []
        ticks: list[tuple[int, float, int]] = []
        try:
            for tick in found.ticks:
                if not pictures or pictures[-1] is not tick.image:
                    pictures.append(tick.image)
                ticks.append((tick.number, tick.seconds, len(pictures) - 1))
                found.next_tick = tick.number + 1
                if len(ticks) >= CHUNK_TICKS or time.monotonic() - begin > CHUNK_SECONDS:
                    break
        except BaseException:  # the decoder has ended with the exception
            _put_away(request.film)
            raise
    shape = pictures[0].shape if pictures else (0, 0, 3)
    chunk = FilmChunk(
        info=found.info,
        opened=opened,
        shape=(len(pictures), *shape),
        ticks=tuple(ticks),
        decoded=film.decoded,
        end_seconds=film.end_seconds,
        ended=film.ended,
        warnings=film.warnings,
    )
    if film.ended:
        _put_away(request.film)
    return chunk, [np.stack(pictures).tobytes() if pictures else b""]


def _resume(request: ReadFilm, progress: Progress) -> tuple[_Open, bool]:
    """The film where reading was left off; and whether it had to be opened there."""

    def tell(_: float) -> None:
        progress(0.0, "decoding")

    found = _OPEN.pop(request.film, None)
    if found is not None and found.next_tick != request.first_tick:  # a chunk was lost on its way
        found.close.close()
        found = None
    if opened := found is None:
        while len(_OPEN) >= MOST_OPEN:
            _put_away(next(reversed(_OPEN)))  # where films take turns, the one read last is the furthest off
        found = _open_anew(request, tell)
    else:
        found.film.grant(CHUNK_LIMIT, tell)
    _OPEN[request.film] = found
    return found, opened


def _open_anew(request: ReadFilm, tell: TellFraction) -> _Open:
    """The film at the first tick that is asked for."""
    processor = open_checkpoint(request.checkpoint, weights=False, here=True).processor
    close = ExitStack()
    film = close.enter_context(
        open_film(
            request.path,
            from_seconds=request.first_tick * request.tick_seconds,
            begin_seconds=request.begin_seconds,
            limits=LIMITS,
            progress=tell,
        )
    )
    ticks = film.ticks(request.tick_seconds, processor.resize_and_crop, request.first_tick)
    return _Open(film, _info(film, request.path), ticks, request.first_tick, close)


def _put_away(number: int) -> None:
    if found := _OPEN.pop(number, None):
        found.close.close()


def close_film(request: CloseFilm, blobs: list[bytes], progress: Progress) -> tuple[Nothing, list[bytes]]:
    """Put a film away."""
    _put_away(request.film)
    return Nothing(), []


def read_moment(request: ReadMoment, blobs: list[bytes], progress: Progress) -> tuple[MomentPictures, list[bytes]]:
    """Read the pictures of one window; progress is called as the film is read."""
    processor = open_checkpoint(request.checkpoint, weights=False, here=True).processor
    seconds: list[float] = []
    files: list[bytes] = []
    first = request.first_tick
    with (
        called_this_clip(request.path),
        open_film(
            request.path,
            from_seconds=first * request.tick_seconds,
            begin_seconds=request.begin_seconds,
            limits=LIMITS,
            progress=lambda _: progress(len(files) / request.num_frames, "reading the window's frames"),
        ) as film,
    ):
        for tick in film.ticks(request.tick_seconds, processor.resize_and_crop, first):
            file = BytesIO()
            Image.fromarray(tick.image).save(file, "JPEG", quality=85)
            files.append(file.getvalue())
            seconds.append(tick.seconds)
            if len(files) == request.num_frames:
                break
    return MomentPictures(tuple(seconds)), files


def extract(request: MakeExtract, blobs: list[bytes], progress: Progress) -> tuple[Nothing, list[bytes]]:
    """Make a clip of a stretch; progress is called as it is read."""
    start, end = request.start_seconds, min(request.end_seconds, request.start_seconds + EXTRACT_SECONDS)
    first, last = round(start * EXTRACT_FPS), max(round(start * EXTRACT_FPS) + 1, round(end * EXTRACT_FPS))

    done = 0.0

    def pictures(film: Film) -> Iterator[tuple[float, np.ndarray]]:
        nonlocal done
        for tick in film.ticks(1 / EXTRACT_FPS, lambda picture: picture, first):
            if tick.number >= last:
                return
            done = (tick.number - first) / (last - first)
            yield tick.number / EXTRACT_FPS, tick.image

    with (
        called_this_clip(request.path),
        open_film(
            request.path,
            from_seconds=start,
            begin_seconds=request.begin_seconds,
            limits=LIMITS,
            progress=lambda _: progress(done, "making an extract"),
        ) as film,
    ):
        made = encode_mp4(pictures(film), end_seconds=end, height=EXTRACT_HEIGHT)
    return Nothing(), [made]


TASKS = typed(
    {
        DescribeFilm: describe_film,
        ReadFilm: read_film,
        CloseFilm: close_film,
        ReadMoment: read_moment,
        MakeExtract: extract,
        HoldFilms: hold,
    }
)
