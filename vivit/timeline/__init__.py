"""What happens when in a film of any length: windows over it, their answers, and segments of those. No torch is used."""

from vivit.timeline.segments import SMOOTHING, UNKNOWN, Answered, Segment, find_segments, group, moments
from vivit.timeline.windows import STRIDE_SECONDS, Grid, Window

__all__ = [
    "SMOOTHING",
    "STRIDE_SECONDS",
    "UNKNOWN",
    "Answered",
    "Grid",
    "Segment",
    "Window",
    "find_segments",
    "group",
    "moments",
]
