"""What a video file holds, as plain data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds; every field can be written as JSON.

    Args:
        path: the file.
        container: FFmpeg's name of the container format.
        codec: FFmpeg's name of the codec.
        stream_index: which of the file's streams was read.
        num_streams: video streams in the file, cover art not counted.
        width, height: of the first picture, in pixels, upright and with square pixels.
        rotation: degrees clockwise by which stored pictures were turned: 0, 90, 180 or 270.
        mirrored: whether they were mirrored left to right before that.
        frame_seconds: presentation time of every displayed picture as the file gives it, ascending, in seconds.
        end_seconds: when the last picture has been shown; where the file does not say how long it is shown, that is the mean of
            the others, and 0 s if there are none.
        plain: whether a player that shows pictures as they are stored shows the same as is read here.
        interlaced: whether pictures are two fields woven into one, which are read with their neighbours.
        keyframe_seconds: presentation times at which decoding can start, ascending; empty if the packets could not be
            trusted, and then pictures are found by counting from the start.
        warnings: sentences for the user.
        geometry: how pictures are read, a key of `vivit.names.GEOMETRY`. With 'stored' width and height are those of stored
            pictures, which are not turned.
    """

    path: str
    container: str
    codec: str
    stream_index: int
    num_streams: int
    width: int
    height: int
    rotation: int
    mirrored: bool
    frame_seconds: tuple[float, ...]
    end_seconds: float
    plain: bool
    interlaced: bool
    keyframe_seconds: tuple[float, ...]
    warnings: tuple[str, ...]
    geometry: str = "upright"

    @property
    def num_frames(self) -> int:
        return len(self.frame_seconds)

    @property
    def edge_seconds(self) -> tuple[float, ...]:
        """The times of the frames and of the clip's end, as `choose_indices` takes them."""
        return (*self.frame_seconds, self.end_seconds)

    @property
    def fps(self) -> float:
        """Mean frame rate; 0 if there is only one frame."""
        span = self.frame_seconds[-1] - self.frame_seconds[0]
        return (self.num_frames - 1) / span if span > 0 else 0.0

    @property
    def duration_seconds(self) -> float:
        """From the first frame to when the last one has been shown."""
        return self.end_seconds - self.frame_seconds[0]
