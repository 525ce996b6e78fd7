"""What a call of the pipeline may choose, checked as soon as it is chosen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any

from vivit.errors import refuse_unknown
from vivit.names import GEOMETRY, SAMPLING
from vivit.scores import SCORES
from vivit.video.container import TellFraction, VideoLimits
from vivit.views import ONE, Views


@dataclass(frozen=True)
class CallOptions:
    """What a call may choose.

    Args:
        top_k: how many classes to report; all there are if there are fewer.
        num_frames: the model's if None; another number interpolates its position embeddings.
        frame_sampling_rate: as transformers without torchvision: frames from the first on, evenly over so many times
            `num_frames`. It is `stride` with `sampling` 'transformers', where these do not say otherwise.
        function_to_apply: a key of `vivit.scores.SCORES`; by the config's problem_type if None.
        sampling: a key of `vivit.names.SAMPLING`; 'uniform' if None, the whole clip, evenly.
        stride: distance between chosen frames, where the sampling has one; if None 1, and 2 for several temporal views.
        start: first frame, where the sampling has one.
        views: how often a clip is looked at, such as '4x3', see `vivit.views.Views`; once if None. Several temporal views
            choose their frames themselves: beside them `start` must be 0, and `sampling` 'uniform', or None without a
            `frame_sampling_rate`.
        geometry: a key of `vivit.names.GEOMETRY`, for files; frames that are given as pictures are what they are.
        batch_size: views in one pass of the model; so many clips are taken together.
        num_workers: threads that read ahead; none if 0 or None. A list or tuple of paths that takes more than one pass of
            several clips is read by processes instead, see `vivit.decoders`: `usual_processes` of them if None; they end with
            the call. With `progress`, or an image processor of the caller's own class, threads read it all the same. No more
            than `batch_size + num_workers` clips are held; `batch_size` more with processes, which are so far ahead, and
            `batch_size` more on an accelerator, which is given its next pass meanwhile.
        limits: what reading one file may cost.
        progress: called with the fraction of a file that is read, by the thread that reads it.

    Raises:
        ValueError: for an impossible value, naming it.
    """

    top_k: int = 5
    num_frames: int | None = None
    frame_sampling_rate: int | None = None
    function_to_apply: str | None = None
    sampling: str | None = None
    stride: int | None = None
    start: int = 0
    views: str | Views | None = None
    geometry: str = "upright"
    batch_size: int = 1
    num_workers: int | None = None
    limits: VideoLimits | None = None
    progress: TellFraction | None = None

    def __post_init__(self) -> None:
        for name in ("top_k", "num_frames", "frame_sampling_rate", "stride", "start", "batch_size", "num_workers"):
            value, least = getattr(self, name), int(name not in ("start", "num_workers"))
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < least):
                raise ValueError(f"{name} must be a whole number and at least {least}, not {value!r}")
        for name, known in (("function_to_apply", SCORES), ("sampling", SAMPLING), ("geometry", GEOMETRY)):
            if (value := getattr(self, name)) is not None and not (isinstance(value, str) and value in known):
                raise ValueError(f"{name}={value!r} is unknown; known are {', '.join(known)}")
        if not isinstance(self.limits, VideoLimits | None):
            raise ValueError(f"limits must be a vivit.video.VideoLimits, not {self.limits!r}")
        if not (self.progress is None or callable(self.progress)):
            raise ValueError(f"progress must be a function of a fraction, not {self.progress!r}")
        self.reading["views"].check(self.reading["sampling"], self.start)

    def changed(self, options: Mapping[str, Any], say: Iterable[str] = ()) -> "CallOptions":
        """These options with some replaced; None leaves an option as it is.

        Args:
            options: name → value.
            say: more names that an unknown one may have been meant for.

        Raises:
            ValueError: for an unknown option, or an impossible value.
        """
        refuse_unknown(options, {f.name for f in fields(self)}, [*say])
        return replace(self, **{name: value for name, value in options.items() if value is not None})

    @property
    def reading(self) -> dict[str, Any]:
        """The options of reading, as `vivit.inputs.prepare` takes them."""
        usual = "uniform" if self.frame_sampling_rate is None else "transformers"
        chosen = {"sampling": self.sampling or usual, "stride": self.stride or self.frame_sampling_rate}
        views = ONE if self.views is None else Views.parse(str(self.views))
        return (
            {"views": views}
            | chosen
            | {name: getattr(self, name) for name in ("start", "geometry", "limits", "progress")}
        )
