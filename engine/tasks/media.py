"""What is asked of the media worker: frames of clips, labelled clips, previews and drawings, a camera's pictures."""

from dataclasses import dataclass

from engine.messages import Nothing, Request
from vivit.evaluate.sources import Found
from vivit.views import Views


@dataclass(frozen=True)
class ReadTimings:
    """What reading a clip took, in ms; see `vivit.preparing.PreparedClip`."""

    probe: float
    decode: float
    preprocess: float


@dataclass(frozen=True)
class Frames:
    """The frames that a model gets of a clip, and what is known of the clip.

    Args:
        shape: of one view's pixels, (T, H, W, 3).
        indices, seconds: (S·T,) which frames of the clip they are, those of one temporal view after the other, and their
            presentation times from its first frame on.
        num_frames, duration_seconds, fps: of the clip.
        width, height: of its pictures in pixels, upright and with square pixels.
        codec, container: as FFmpeg and browsers call them.
        plain: whether a player that shows pictures as they are stored shows what the model gets.
        warnings: sentences for the visitor.
        crop_boxes: what of a picture each spatial view has: left, top, right, bottom in its pixels.
        timings_ms: what reading it took.

    Raises:
        ValueError: if there are not as many indices as times, or not T of each temporal view.
    """

    shape: tuple[int, int, int, int]
    indices: tuple[int, ...]
    seconds: tuple[float, ...]
    num_frames: int
    duration_seconds: float
    fps: float
    width: int
    height: int
    codec: str
    container: str
    plain: bool
    warnings: tuple[str, ...]
    crop_boxes: tuple[tuple[float, float, float, float], ...]
    timings_ms: ReadTimings

    def __post_init__(self) -> None:
        if len(self.indices) != len(self.seconds) or len(self.indices) % self.shape[0]:
            raise ValueError(f"{len(self.indices)} indices and {len(self.seconds)} times for {self.shape[0]} frames")

    @property
    def views(self) -> Views:
        """How often the clip is looked at."""
        return Views(len(self.indices) // self.shape[0], len(self.crop_boxes))


@dataclass(frozen=True)
class ReadFrames(Request[Frames]):
    """Read the frames a model gets. With the reply come the pixels, uint8, and then each frame as a JPEG to look at.

    Both are those of one view after the other, the crops of one temporal view together.

    Args:
        path, checkpoint: the file, and the checkpoint by which its pictures are resized and cropped.
        sampling, stride, views: as `vivit.inputs.prepare` takes them, the views as text.
    """

    WORKER, TASK, REPLY = "media", "read", Frames

    path: str
    checkpoint: str
    sampling: str = "uniform"
    stride: int = 1
    views: str = "1x1"


@dataclass(frozen=True)
class FindClips(Request[Found]):
    """Find labelled clips on this machine.

    Args:
        source: 'bundled', or the whole path of a folder or a list; see `vivit.evaluate.sources.find_clips`.
    """

    WORKER, TASK, REPLY = "media", "find_clips", Found

    source: str


@dataclass(frozen=True)
class ClipPixels:
    """A clip as a model takes it. With it come the pixels, uint8.

    Args:
        shape: (V, T, H, W, 3).
        decode_seconds: processor time of reading, resizing and cropping it.
        duration_seconds: of the clip.
    """

    shape: tuple[int, int, int, int, int]
    decode_seconds: float
    duration_seconds: float


@dataclass(frozen=True)
class ReadClip(Request[ClipPixels]):
    """Read a clip that is to be classified and not to be looked at.

    Args:
        path, checkpoint, views: as `ReadFrames`'.
        sampling, stride: as `vivit.video.sampling.choose_views` takes them.
    """

    WORKER, TASK, REPLY = "media", "read_clip", ClipPixels

    path: str
    checkpoint: str
    sampling: str = "uniform"
    stride: int | None = None
    views: str = "1x1"


@dataclass(frozen=True)
class MakePreview(Request[Nothing]):
    """Make a clip that every browser plays. With the reply comes the MP4: H.264, at most 10 s and 360 pixels high."""

    WORKER, TASK, REPLY = "media", "preview", Nothing

    path: str


@dataclass(frozen=True)
class MakeThumbnail(Request[Nothing]):
    """Take the first frame of a clip. With the reply comes a small JPEG, cut to 4:3."""

    WORKER, TASK, REPLY = "media", "thumbnail", Nothing

    path: str


@dataclass(frozen=True)
class DrawInside(Request[Nothing]):
    """Draw what a model looked at. With it go the pixels and a map, float32; with the reply come a PNG and an MP4.

    Args:
        shape: of the pixels, (T, H, W, 3). grid: of the map, (L, H, W).
        seconds: (T,) when each frame is shown. end_seconds: when the last one has been.
        opacity: of the map over the frames, 0 to 1.
    """

    WORKER, TASK, REPLY = "media", "draw", Nothing

    shape: tuple[int, int, int, int]
    grid: tuple[int, int, int]
    seconds: tuple[float, ...]
    end_seconds: float
    opacity: float


@dataclass(frozen=True)
class Hold(Request[Nothing]):
    """Decode no clip until cancelled, so that nothing is timed beside it."""

    WORKER, TASK, REPLY = "media", "hold", Nothing


@dataclass(frozen=True)
class Pictures:
    """Pictures as the model gets them. With them come the pixels, uint8. Args: shape: (n, H, W, 3)."""

    shape: tuple[int, int, int, int]


@dataclass(frozen=True)
class DecodePictures(Request[Pictures]):
    """Decode JPEGs of a camera, resize and crop them. With it go the files; with the reply come the pixels.

    Args:
        checkpoint: by which they are resized and cropped.
    """

    WORKER, TASK, REPLY = "media", "decode_pictures", Pictures

    checkpoint: str


@dataclass(frozen=True)
class EncodePictures(Request[Nothing]):
    """Make a clip of a camera's JPEGs. With it go the files; with the reply comes an MP4.

    Args:
        seconds: when each is shown, ascending.
    """

    WORKER, TASK, REPLY = "media", "encode_pictures", Nothing

    seconds: tuple[float, ...]
