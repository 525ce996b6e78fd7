"""VP8 and VP9 with transparency: a second stream in the same packets, whose pictures are the alpha channel.

FFmpeg's libvpx decoder puts the two together, but takes as much memory as a damaged header says before any limit is asked
(3.6 GB were seen). FFmpeg's own decoders keep to the limits and ignore the second stream, so a second decoder reads that.
"""

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

ID_BYTES = 8  # of a number before the data, which names the kind of addition: 1 is alpha; Source: RFC 9559, BlockAddID
CODECS = {"vp8", "vp9"}
WAITING = 32  # pictures that may wait for their alpha, and the other way round: more than any decoder holds back


def promises_alpha(stream: VideoStream) -> bool:
    """Whether a Matroska or WebM file says of a stream that its pictures are partly transparent."""
    return stream.metadata.get("alpha_mode") == "1"


class AlphaDecoder:
    """Decodes like the codec context of such a stream, to pictures with alpha; a picture whose alpha never comes has none."""

    def __init__(self, colours: VideoCodecContext) -> None:
        """Args: colours: the stream's own decoder, set up and not yet used."""
        self.colours = colours
        self.codec = colours.codec
        self.skip_frame = colours.skip_frame  # as a codec context has it; nothing is skipped here
        self._masks: VideoCodecContext = av.CodecContext.create(colours.name, "r")  # type: ignore[assignment]
        self._masks.options = dict(colours.options)
        self._masks.thread_type, self._masks.thread_count = colours.thread_type, colours.thread_count
        self._pictures: list[av.VideoFrame] = []
        self._decoded: dict[int | None, av.VideoFrame] = {}
        self._expected: set[int | None] = set()

    def decode(self, packet: "av.Packet[VideoStream] | None") -> list[av.VideoFrame]:
        """Pictures that are complete, in order; all that are left for None. Errors are those of PyAV's `decode`."""
        self._pictures += self.colours.decode(packet)
        if packet is None:
            self._keep(self._masks.decode(None))
        elif extra := packet.get_sidedata("matroska_block_additional"):
            mask = av.Packet(bytes(extra)[ID_BYTES:])
            mask.pts, mask.dts, mask.time_base = packet.pts, packet.dts, packet.time_base
            self._expected.add(packet.pts)
            self._keep(self._masks.decode(mask))
        complete = []
        while self._pictures and (packet is None or self._settled()):
            picture = self._pictures.pop(0)
            self._expected.discard(picture.pts)
            mask_picture = self._decoded.pop(picture.pts, None)
            complete.append(picture if mask_picture is None else _joined(picture, mask_picture))
        return complete

    def flush_buffers(self) -> None:
        """Begin anew, after a seek."""
        self.colours.flush_buffers()
        self._masks.flush_buffers()
        self._pictures.clear()
        self._decoded.clear()
        self._expected.clear()

    def _keep(self, masks: list[av.VideoFrame]) -> None:
        self._decoded.update((mask.pts, mask) for mask in masks)
        while len(self._decoded) > WAITING:
            del self._decoded[next(iter(self._decoded))]

    def _settled(self) -> bool:
        """Whether there is no more to wait for before the first picture is complete."""
        pts = self._pictures[0].pts
        return pts in self._decoded or pts not in self._expected or len(self._pictures) > WAITING


def _joined(picture: av.VideoFrame, mask: av.VideoFrame) -> av.VideoFrame:
    """A picture with the brightness of another as its alpha; unchanged where the two do not fit."""
    if (picture.format.name, picture.width, picture.height) != ("yuv420p", mask.width, mask.height):
        return picture
    joined = av.VideoFrame(picture.width, picture.height, "yuva420p")
    for to, plane in zip(joined.planes, (*picture.planes, mask.planes[0]), strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        target = np.frombuffer(memoryview(to), np.uint8).reshape(to.height, to.line_size)
        target[:, : to.width] = rows
    joined.pts = picture.pts
    joined.colorspace, joined.color_range = picture.colorspace, picture.color_range
    joined.color_trc, joined.color_primaries = picture.color_trc, picture.color_primaries
    return joined
