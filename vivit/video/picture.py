"""A decoded picture → RGB as a viewer sees it: upright, square pixels, whole, in BT.709, on white."""

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.format import VideoFormat
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from vivit.video.container import MEDIA_ERRORS, VideoError, VideoLimits, check_size
from vivit.video.interlaced import deinterlaced
from vivit.video.tone_mapping import ToneMapper, colours_of

Orientation = tuple[int, int, int, int]

UPRIGHT: Orientation = (1, 0, 0, 1)  # the orientation that changes nothing
GROUND = "white"  # what transparent pictures lie on


def _unnamed(cls: type[Type], value: int) -> Type:
    # FFmpeg has kinds of side data that PyAV has no name for (EXIF, view ids); without a name it refuses the whole picture.
    member: Type = object.__new__(cls)
    member._name_ = f"UNNAMED_{value}"
    member._value_ = value  # type: ignore[assignment]
    return member


Type._missing_ = classmethod(_unnamed)  # type: ignore[assignment, method-assign]


def orientation_of(picture: av.VideoFrame, usual: Orientation | None = UPRIGHT) -> Orientation | None:
    """How to show a stored picture: pixel (x, y) goes to (a x + c y, b x + d y), up to a shift.

    Args:
        picture: as it was decoded.
        usual: the answer where the picture does not say.

    Returns:
        (a, b, c, d), each -1, 0 or 1; None if the file's matrix does not turn by a multiple of 90 degrees.

    Source:
        ISO/IEC 14496-12, 8.3.2: the matrix of the track header. FFmpeg makes one of EXIF's orientation too.
    """
    # `picture.side_data` would tie the picture into a reference cycle, and so keep its memory until a garbage collection.
    side_data = SideDataContainer(picture).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    if side_data is None:
        return usual
    matrix = np.frombuffer(bytes(side_data), np.int32).reshape(3, 3)[:2, :2].astype(np.int64)
    large = np.abs(matrix) > 0.01 * np.abs(matrix).max()
    a, b, c, d = (np.sign(matrix) * large).ravel().tolist()
    return (a, b, c, d) if (a and d and not b and not c) or (b and c and not a and not d) else None


def turned(image: np.ndarray, orientation: Orientation) -> np.ndarray:
    """(H, W, C) pixels as an orientation says."""
    a, b, c, d = orientation
    if b:
        image = image.transpose(1, 0, 2)
    return np.ascontiguousarray(image[:: b + d, :: a + c])


def describe_orientation(orientation: Orientation) -> tuple[int, bool]:
    """(degrees clockwise: 0, 90, 180 or 270; whether the picture was mirrored left to right before that)."""
    a, b, c, d = orientation
    mirrored = a * d - b * c < 0
    quarter_turns = [(1, 0), (0, 1), (-1, 0), (0, -1)].index((-a, -b) if mirrored else (a, b))
    return 90 * quarter_turns, mirrored


def orientation_from(rotation: int, mirrored: bool) -> Orientation:
    """The inverse of `describe_orientation`."""
    a, b, c, d = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)][rotation // 90]
    return (-a, -b, c, d) if mirrored else (a, b, c, d)


def has_alpha(format: VideoFormat) -> bool:
    """Whether pictures of a format can be transparent; a palette can hold transparent colours."""
    return format.has_palette or any(component.is_alpha for component in format.components)


def on_ground(image: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 RGB with alpha → (H, W, 3) uint8 on white."""
    picture = Image.fromarray(image)
    if picture.getchannel("A").getextrema() == (255, 255):
        return image[..., :3]
    ground = Image.new("RGB", picture.size, GROUND)
    ground.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return np.asarray(ground)


class ToRgb:
    """Turns the pictures of one stream into RGB, one after the other."""

    def __init__(
        self,
        stream: VideoStream,
        name: str,
        limits: VideoLimits,
        usual: Orientation | None = UPRIGHT,
        geometry: str = "upright",
    ) -> None:
        """Make one.

        Args:
            stream: the one that the pictures are of.
            name: the file's, for errors.
            limits: what a picture may cost.
            usual: how a picture that does not say so itself is turned.
            geometry: a key of `vivit.names.GEOMETRY`.
        """
        self._stored = geometry == "stored"
        self._stream, self._name, self._limits, self._usual = stream, name, limits, usual
        self._reformatter = VideoReformatter()
        self._mapper: ToneMapper | None = None
        self._mapped: tuple[object, ...] = ()  # what the mapper is for

    def __call__(
        self, picture: av.VideoFrame, before: av.VideoFrame | None = None, after: av.VideoFrame | None = None
    ) -> np.ndarray:
        """A picture as (H, W, 3) uint8 RGB.

        Args:
            picture: as it was decoded.
            before, after: its neighbours, of use where it is interlaced.

        Raises:
            VideoError: if it is too large or cannot be turned into RGB.
        """
        width = self._width(picture)
        try:
            if self._stored:
                return self._reformatter.reformat(picture, format="rgb24", threads=1).to_ndarray()
            orientation = orientation_of(picture, self._usual) or UPRIGHT
            if picture.interlaced_frame:
                picture = deinterlaced(picture, before, after)
            image = self._to_rgb(picture, width)
        except MEDIA_ERRORS as error:
            raise VideoError(
                f"The pictures of {self._name!r} cannot be turned into RGB; convert the video.", str(error)
            ) from error
        return turned(image, orientation)

    def _width(self, picture: av.VideoFrame) -> int:
        """The width in pixels that a picture has before it is turned; raises VideoError where the picture is too large."""
        aspect = 1 if self._stored else self._stream.sample_aspect_ratio or 1
        width = max(1, round(picture.width * aspect))
        check_size(self._name, width, picture.height, self._limits)
        return width

    def _to_rgb(self, picture: av.VideoFrame, width: int) -> np.ndarray:
        alpha, colours = has_alpha(picture.format), colours_of(picture)
        transfer, primaries = picture.color_trc, picture.color_primaries
        # Planar formats, since FFmpeg writes the packed ones of 16 bits or with alpha wrongly at some widths.
        format = ("gbrap16le" if alpha else "gbrp16le") if colours else ("gbrap" if alpha else "rgb24")
        # The same bytes as `picture.to_ndarray(format="rgb24")`, which sets up a new converter with threads every time.
        picture = self._reformatter.reformat(picture, width=width, format=format, threads=1)
        if not colours:
            image = picture.to_ndarray()
            return on_ground(image) if alpha else image
        # `haldclut` in turn mixes up the channels of planar pictures.
        packed = self._reformatter.reformat(picture, format="rgba64le" if alpha else "rgb48le", threads=1)
        kind = (packed.width, packed.height, packed.format.name, transfer, primaries)
        if self._mapper is None or self._mapped != kind:
            self._mapper, self._mapped = ToneMapper(packed, transfer, primaries), kind
        levels = self._mapper.map(packed).to_ndarray().astype(np.uint16, copy=False)
        image = ((levels - (levels >> 8) + 128) >> 8).astype(np.uint8)  # 65535 → 255, rounded, without leaving 16 bits
        return on_ground(image) if alpha else image
