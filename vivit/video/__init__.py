"""Video files: what they hold, which frames are chosen, and their pictures. No torch is used."""

from vivit.video.container import VideoError, VideoLimits
from vivit.video.decoding import Frame, FramesMissingError
from vivit.video.info import VideoInfo
from vivit.video.reading import SampledFrames, decode, examined, probe, read_frames
from vivit.video.sampling import SAMPLING, choose_indices

__all__ = [
    "SAMPLING",
    "Frame",
    "FramesMissingError",
    "SampledFrames",
    "VideoError",
    "VideoInfo",
    "VideoLimits",
    "choose_indices",
    "decode",
    "examined",
    "probe",
    "read_frames",
]
