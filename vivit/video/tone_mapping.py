"""High dynamic range and wide gamut → BT.709, as a table of colours that FFmpeg's `haldclut` filter applies.

FFmpeg's own `scale` filter could do it too, but clips everything above white, and with its other intent takes a file
that does not name its brightest light for one of 10,000 cd/m² and makes it dark; it also computes for a second. The
`tonemap` filter needs linear light, which only zscale makes, and PyAV's wheels have no zscale and no libplacebo. So the
table is made from the published formulas, and given as a picture: no file is written.
"""

from functools import lru_cache

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorPrimaries, ColorTrc

# The table has LEVEL² values a channel, between which FFmpeg interpolates: PQ and HLG are even enough for that.
LEVEL = 8
WHITE = 203.0  # cd/m² that become the white of an ordinary picture (ITU-R BT.2408)
PEAK = 1000.0  # cd/m² of the brightest highlight that stays apart from those below it
KNEE = 0.8  # of WHITE, in linear light: what is darker stays as it is
GAMMA = 2.4  # of an ordinary screen (ITU-R BT.1886)

# Linear light to that of BT.709, both with the white of D65 (SMPTE RP 177; ITU-R BT.2087 for BT.2020).
TO_BT709 = {
    ColorPrimaries.BT2020: np.array(
        [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]
    ),
    ColorPrimaries.SMPTE432: np.array(
        [[1.224940, -0.224940, 0.0], [-0.042057, 1.042057, 0.0], [-0.019638, -0.078636, 1.098274]]
    ),
}
NAMES: dict[int, str] = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}
GAMUTS: dict[int, str] = {ColorPrimaries.BT2020: "BT.2020", ColorPrimaries.SMPTE432: "Display P3"}


def colours_of(picture: av.VideoFrame) -> str:
    """What has to be mapped: 'PQ', 'HLG', 'BT.2020' or 'Display P3'; empty for an ordinary picture."""
    return NAMES.get(picture.color_trc) or GAMUTS.get(picture.color_primaries, "")


def pq_to_light(signal: np.ndarray) -> np.ndarray:
    """Signal in [0, 1] → cd/m². Source: SMPTE ST 2084, the EOTF."""
    root = np.power(np.clip(signal, 0, 1), 32 / 2523)
    part = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
    light: np.ndarray = 10_000 * np.power(part, 16384 / 2610)
    return light


def hlg_to_light(signal: np.ndarray) -> np.ndarray:
    """Signal (…, 3) of BT.2020 in [0, 1] → cd/m² on a screen of 1000 cd/m². Source: ITU-R BT.2100, inverse OETF and OOTF."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((np.maximum(signal, 0.5) - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    light: np.ndarray = 1000 * np.power(luminance, 0.2)[..., None] * scene
    return light


def to_bt709(signal: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """Colours → what an ordinary screen shows.

    Highlights above the knee are drawn together on the largest of the three channels, so that hues stay.

    Args:
        signal: (…, 3) RGB in [0, 1], as the file has it.
        transfer, primaries: FFmpeg's numbers; others than PQ, HLG, BT.2020 and Display P3 count as BT.709's.

    Returns:
        (…, 3) RGB in [0, 1] of BT.709.

    Source: SMPTE ST 2084, ITU-R BT.2100, BT.2087, BT.2408 and BT.1886.
    """
    if transfer == ColorTrc.SMPTE2084:
        light = pq_to_light(signal) / WHITE
    elif transfer == ColorTrc.ARIB_STD_B67:
        light = hlg_to_light(signal) / WHITE
    else:
        light = np.power(signal, GAMMA)
    if primaries in TO_BT709:
        light = light @ TO_BT709[ColorPrimaries(primaries)].T
    light = np.maximum(light, 0)
    if transfer in NAMES:
        largest = light.max(-1, keepdims=True)
        light = light * np.where(largest > KNEE, _shoulder(largest) / np.maximum(largest, KNEE), 1)
    return np.power(np.clip(light, 0, 1), 1 / GAMMA)


def _shoulder(light: np.ndarray) -> np.ndarray:
    """From KNEE, where its slope is 1, to 1 at PEAK: a hyperbola, as of the filter `tonemap=mobius`."""
    reach, room = PEAK / WHITE - KNEE, 1 - KNEE
    bend = (reach - room) / (reach * room)
    above = np.clip(light - KNEE, 0, reach)
    return KNEE + above / (1 + bend * above)


@lru_cache
def _table(transfer: int, primaries: int) -> np.ndarray:
    """(LEVEL³, LEVEL³, 3) uint16: every colour of the grid, red fastest, as `haldclut` reads it."""
    steps = np.linspace(0, 1, LEVEL**2)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    mapped = to_bt709(np.stack([red, green, blue], -1), transfer, primaries)
    table: np.ndarray = np.rint(mapped * 65535).astype(np.uint16).reshape(LEVEL**3, LEVEL**3, 3)
    return table


class ToneMapper:
    """Maps RGB pictures of one size, format and kind of colours to BT.709."""

    def __init__(self, like: av.VideoFrame, transfer: int, primaries: int) -> None:
        """Args: like: a picture in packed RGB of 16 bits, with alpha or without; transfer, primaries: FFmpeg's numbers."""
        self._graph = Graph()
        self._pictures = self._graph.add(
            "buffer", f"video_size={like.width}x{like.height}:pix_fmt={like.format.name}:time_base=1/25"
        )
        side = LEVEL**3
        table = self._graph.add("buffer", f"video_size={side}x{side}:pix_fmt=rgb48le:time_base=1/25")
        mapping = self._graph.add("haldclut")
        self._mapped = self._graph.add("buffersink")
        self._pictures.link_to(mapping, 0, 0)
        table.link_to(mapping, 0, 1)
        mapping.link_to(self._mapped)
        self._graph.configure()
        colours = av.VideoFrame.from_ndarray(_table(transfer, primaries), format="rgb48le")
        colours.pts = 0
        table.push(colours)
        table.push(None)  # one table serves for all pictures
        self._count = 0

    def map(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture in BT.709; its time is lost."""
        picture.pts = self._count
        self._count += 1
        self._pictures.push(picture)
        return self._mapped.pull()  # type: ignore[return-value]
