"""Two fields woven into one picture → the picture of the first, whole, by FFmpeg's filters."""

from collections.abc import Iterator
from itertools import chain

import av
from av.filter import Graph

Numbered = tuple[int, av.VideoFrame]


def with_neighbours(
    numbered: Iterator[Numbered],
) -> Iterator[tuple[int, av.VideoFrame, av.VideoFrame | None, av.VideoFrame | None]]:
    """Each picture with the ones shown before and after it, where `numbered` has them: (number, picture, before, after)."""
    before: Numbered | None = None
    here: Numbered | None = None
    for after in chain(numbered, (None,)):
        if here is not None:
            number, picture = here
            yield (
                number,
                picture,
                before[1] if before and before[0] == number - 1 else None,
                after[1] if after and after[0] == number + 1 else None,
            )
        before, here = here, after


def deinterlaced(
    picture: av.VideoFrame, before: av.VideoFrame | None = None, after: av.VideoFrame | None = None
) -> av.VideoFrame:
    """One picture without combs.

    Args:
        picture: an interlaced one.
        before, after: those shown beside it. 'bwdif' finds in them what did not move; with neither, 'estdif' goes by edges.

    Returns:
        A picture of the same size, with the same colours and side data. The times of all three are lost.
    """
    like = (picture.width, picture.height, picture.format.name)
    given = [p for p in (before, picture, after) if p and (p.width, p.height, p.format.name) == like]
    graph = Graph()
    source = graph.add(
        "buffer",
        f"video_size={picture.width}x{picture.height}:pix_fmt={picture.format.name}:time_base=1/25:"
        f"colorspace={int(picture.colorspace)}:range={int(picture.color_range)}",
    )
    name, mode = ("bwdif", "send_frame") if len(given) > 1 else ("estdif", "frame")
    weave = graph.add(name, f"mode={mode}:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(weave)
    weave.link_to(sink)
    graph.configure()
    for number, one in enumerate(given):
        one.pts = number
        source.push(one)
    source.push(None)
    whole = [sink.pull() for _ in given]
    return whole[given.index(picture)]  # type: ignore[return-value]
