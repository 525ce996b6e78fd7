"""What is asked of the film worker, which decodes long videos chunk by chunk."""

from dataclasses import dataclass

from engine.messages import Nothing, Request
from vivit.film import FilmInfo


@dataclass(frozen=True)
class FilmChunk:
    """The next pictures of a film. With them come their pixels, uint8.

    Args:
        info: what the film holds.
        opened: whether the film was opened for this chunk, at first or because it had been put away, and not read on.
        shape: of the pixels, (n, H, W, 3); n may be 0.
        ticks: the times of the grid that have come, as (number, the picture's seconds, its place in the pixels).
        decoded: pictures that were decoded of the film since it was opened.
        end_seconds: to where it has been decoded.
        ended: whether there is no more.
        warnings: sentences for the visitor.
    """

    info: FilmInfo
    opened: bool
    shape: tuple[int, int, int, int]
    ticks: tuple[tuple[int, float, int], ...]
    decoded: int
    end_seconds: float
    ended: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class DescribeFilm(Request[FilmInfo]):
    """Find out what a film holds, by its first picture."""

    WORKER, TASK, REPLY = "film", "describe_film", FilmInfo

    path: str


@dataclass(frozen=True)
class ReadFilm(Request[FilmChunk]):
    """Decode a film on, for about half a second. One that was put away meanwhile is opened again at a key frame.

    Args:
        film: a number that no other film has.
        path, checkpoint: the file, and the checkpoint by which its pictures are resized and cropped.
        tick_seconds: of the grid.
        first_tick: what comes next.
        begin_seconds: the first picture's time in the file; None before it is known.
    """

    WORKER, TASK, REPLY = "film", "read_film", FilmChunk

    film: int
    path: str
    checkpoint: str
    tick_seconds: float
    first_tick: int = 0
    begin_seconds: float | None = None


@dataclass(frozen=True)
class CloseFilm(Request[Nothing]):
    """Put a film away. Args: film: its number."""

    WORKER, TASK, REPLY = "film", "close_film", Nothing

    film: int


@dataclass(frozen=True)
class MomentPictures:
    """The pictures of a window. With them come JPEGs, one a frame. Args: seconds: the time of each."""

    seconds: tuple[float, ...]


@dataclass(frozen=True)
class ReadMoment(Request[MomentPictures]):
    """Read the pictures of one window of a film again, to be looked at.

    Args:
        path, checkpoint, tick_seconds, begin_seconds: as `ReadFilm`'s.
        first_tick, num_frames: which.
    """

    WORKER, TASK, REPLY = "film", "read_moment", MomentPictures

    path: str
    checkpoint: str
    tick_seconds: float
    begin_seconds: float
    first_tick: int
    num_frames: int


EXTRACT_SECONDS = 30.0  # at most


@dataclass(frozen=True)
class MakeExtract(Request[Nothing]):
    """Make an MP4 that every browser plays of a stretch of a film, `EXTRACT_SECONDS` of it and 360 pixels high at most.

    Args:
        path, begin_seconds: as `ReadFilm`'s.
        start_seconds, end_seconds: from where to where, from the first picture on.
    """

    WORKER, TASK, REPLY = "film", "extract", Nothing

    path: str
    begin_seconds: float
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class HoldFilms(Request[Nothing]):
    """Decode no film until cancelled, so that nothing is timed beside it."""

    WORKER, TASK, REPLY = "film", "hold_films", Nothing
