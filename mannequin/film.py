"""Bundled clips, one after the other → the bundled film, whose truth is known: `python -m mannequin.film`."""

import json
from collections.abc import Sequence
from pathlib import Path

import av

from vivit.hub import ASSETS
from vivit.video import decode, probe

FPS, WIDTH, HEIGHT = 25, 340, 256  # of every bundled clip
CLIPS, FILMS = Path(ASSETS) / "clips", Path(ASSETS) / "films"
SIX_ACTIONS = ("juggling balls", "push up", "skipping rope", "deadlifting", "robot dancing", "yawning")


def join_clips(labels: Sequence[str], path: Path) -> list[tuple[float, float, str]]:
    """Write a film of bundled clips with a cut between each two, as H.264 with a key frame a second.

    Args:
        labels: the actions, in order.
        path: where to; its ending says the format.

    Returns:
        (start, end, label) of each, in seconds.
    """
    truth, number = [], 0
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23", "g": str(FPS)})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for label in labels:
            info = probe(CLIPS / f"{label.replace(' ', '_')}.mp4")
            begin = number
            for frame in decode(info, range(info.num_frames)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image)))
                number += 1
            truth.append((begin / FPS, number / FPS, label))
        container.mux(stream.encode(None))
    return truth


def main() -> None:
    """Write the bundled film, and what it shows."""
    FILMS.mkdir(exist_ok=True)
    truth = join_clips(SIX_ACTIONS, FILMS / "six-actions.mp4")
    entry = {
        "file": "six-actions.mp4",
        "name": "Six actions",
        "truth": [{"start": start, "end": end, "label": label} for start, end, label in truth],
    }
    (FILMS / "films.json").write_text(json.dumps([entry], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
