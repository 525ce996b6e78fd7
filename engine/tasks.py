"""What pages ask of workers and what workers answer: frozen dataclasses here, JSON on the wire. No torch is used.

Follow a clip: `ReadFrames` → `Frames` with the pixels → `Classify` → `Classification`. Pixels and pictures go beside them as
raw bytes, see each request.
"""

from dataclasses import dataclass

from engine.messages import Request
from vivit.benchmark.measurement import Cell, Measurement
from vivit.benchmark.side_by_side import Examined, TimedRound
from vivit.benchmark.sweep import PlannedRound
from vivit.evaluate.records import Asked, Record
from vivit.evaluate.sources import Found
from vivit.explain.counterfactuals import Answer
from vivit.film import FilmInfo
from vivit.hub import CheckpointInfo, Clip, ClipList
from vivit.teach.report import Report
from vivit.timeline.windows import Grid
from vivit.views import Views


@dataclass(frozen=True)
class Nothing:
    """An answer that is all in its bytes, or in having been given."""


# The media worker


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
        path, checkpoint: the file, and whose pictures its pictures are to be.
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
    """Do nothing until cancelled, so that nobody who is being timed is disturbed."""

    WORKER, TASK, REPLY = "media", "hold", Nothing


@dataclass(frozen=True)
class Pictures:
    """Pictures as the model gets them. With them come the pixels, uint8. Args: shape: (n, H, W, 3)."""

    shape: tuple[int, int, int, int]


@dataclass(frozen=True)
class DecodePictures(Request[Pictures]):
    """Decode JPEGs of a camera, resize and crop them. With it go the files; with the reply come the pixels.

    Args:
        checkpoint: whose pictures they are to be.
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


# The film worker, which decodes long videos chunk by chunk


@dataclass(frozen=True)
class FilmChunk:
    """The next pictures of a film. With them come their pixels, uint8.

    Args:
        info: what the film holds.
        opened: whether the film was opened for it, and not read on: at first, or because it had been put away.
        shape: of the pixels, (n, H, W, 3); n may be 0.
        ticks: the times of the grid that have come, as (number, the picture's seconds, its place in the pixels).
        decoded: pictures that were decoded of the film since it was opened.
        end_seconds: to where it has been decoded.
        ended: whether there is no more.
        warnings: sentences for the visitor.
    """

    info: FilmInfo
    opened: bool
    shape: tuple[int, int, int, int]
    ticks: tuple[tuple[int, float, int], ...]
    decoded: int
    end_seconds: float
    ended: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class DescribeFilm(Request[FilmInfo]):
    """Find out what a film holds, by its first picture."""

    WORKER, TASK, REPLY = "film", "describe_film", FilmInfo

    path: str


@dataclass(frozen=True)
class ReadFilm(Request[FilmChunk]):
    """Decode a film on, for about half a second. One that was put away meanwhile is opened again at a key frame.

    Args:
        film: a number that others have not.
        path, checkpoint: the file, and whose pictures its pictures are to be.
        tick_seconds: of the grid.
        first_tick: what comes next.
        begin_seconds: the film's own time there; None before it is known.
    """

    WORKER, TASK, REPLY = "film", "read_film", FilmChunk

    film: int
    path: str
    checkpoint: str
    tick_seconds: float
    first_tick: int = 0
    begin_seconds: float | None = None


@dataclass(frozen=True)
class CloseFilm(Request[Nothing]):
    """Put a film away. Args: film: its number."""

    WORKER, TASK, REPLY = "film", "close_film", Nothing

    film: int


@dataclass(frozen=True)
class MomentPictures:
    """The pictures of a window. With them come JPEGs, one a frame. Args: seconds: the time of each."""

    seconds: tuple[float, ...]


@dataclass(frozen=True)
class ReadMoment(Request[MomentPictures]):
    """Read the pictures of one window of a film again, to be looked at.

    Args:
        path, checkpoint, tick_seconds, begin_seconds: as `ReadFilm`'s.
        first_tick, num_frames: which.
    """

    WORKER, TASK, REPLY = "film", "read_moment", MomentPictures

    path: str
    checkpoint: str
    tick_seconds: float
    begin_seconds: float
    first_tick: int
    num_frames: int


EXTRACT_SECONDS = 30.0  # at most


@dataclass(frozen=True)
class MakeExtract(Request[Nothing]):
    """Make an MP4 that every browser plays of a stretch of a film, `EXTRACT_SECONDS` of it and 360 pixels high at most.

    Args:
        path, begin_seconds: as `ReadFilm`'s.
        start_seconds, end_seconds: from where to where, from the first picture on.
    """

    WORKER, TASK, REPLY = "film", "extract", Nothing

    path: str
    begin_seconds: float
    start_seconds: float
    end_seconds: float


# The model worker, whose hello is a `vivit.machine.Machine`


@dataclass(frozen=True)
class Prediction:
    """A class and its probability."""

    label: str
    score: float


@dataclass(frozen=True)
class Classification:
    """A clip's answer, and what it took.

    Args:
        predictions: best first; None where the weights are random.
        familiar: whether the clip is like the training clips; None where the checkpoint has no statistics of them.
        truth: the action that the clip shows, '' where that is not known.
        truth_rank: its place among the classes, 1 the most likely; None for none of them.
        latency_ms: the median of `samples_ms`, the timed passes.
        samples_ms: after a pass to warm up if `warm`; else the first pass alone, which was too slow to be repeated.
        warm: see `samples_ms`.
        first_ms: of the first pass.
        others_share: what other programs took of the processors meanwhile, 0 to 1; None where that was too short to tell.
        peak_bytes: the most memory beyond the weights; None where PyTorch does not count it, as on Apple's GPUs.
        weights_bytes: what the parameters take.
        load_ms: until the model was there. preprocess_ms: from uint8 pixels to the device.
        device: its type as PyTorch names it, 'cpu', 'cuda', …
    """

    predictions: tuple[Prediction, ...] | None
    familiar: bool | None
    truth: str
    truth_rank: int | None
    latency_ms: float
    samples_ms: tuple[float, ...]
    warm: bool
    first_ms: float
    others_share: float | None
    peak_bytes: int | None
    weights_bytes: int
    load_ms: float
    preprocess_ms: float
    device: str


@dataclass(frozen=True)
class Classify(Request[Classification]):
    """Classify one clip and measure it, all of its views in one pass. With it go the pixels of each, of that shape, uint8.

    Args:
        checkpoint: as `vivit.checkpoint.open_checkpoint` takes it, on this machine.
        attention, precision, execution: keys of `vivit.names.BACKENDS`, `PRECISIONS` and `EXECUTIONS`.
        normalisation: a key of `vivit.names.NORMALISATION`.
        top_k: how many classes to report.
        shape: of a view, (T, H, W, 3).
        truth: the action that the clip shows, '' where that is not known.
        views: how many there are, whose logits are averaged.
    """

    WORKER, TASK, REPLY = "model", "classify", Classification

    checkpoint: str
    attention: str
    precision: str
    normalisation: str
    top_k: int
    shape: tuple[int, int, int, int]
    truth: str = ""
    execution: str = "plain"
    views: int = 1


@dataclass(frozen=True)
class MeasuredRound:
    """One round of a cell: its row, one that failed too, and the seconds it took in all."""

    measurement: Measurement
    seconds: float


@dataclass(frozen=True)
class MeasureRound(Request[MeasuredRound]):
    """Measure one round of a cell in a fresh process, with nothing else loaded and nothing else running there.

    Args:
        planned: what to measure.
        shape: of the pixels that go with it, (T, H, W, 3) uint8; None for random numbers.
        normalisation: as `Classify`'s.
    """

    WORKER, TASK, REPLY = "model", "measure", MeasuredRound

    planned: PlannedRound
    shape: tuple[int, int, int, int] | None
    normalisation: str = "checkpoint"


@dataclass(frozen=True)
class ExamineCell(Request[Examined]):
    """Load a cell for a comparison, warm it up, and look at its memory and its answer. With it go the pixels.

    Args:
        cell: checkpoint, attention, precision and execution; a batch of one.
        shape, normalisation: as `Classify`'s.
    """

    WORKER, TASK, REPLY = "model", "examine", Examined

    cell: Cell
    shape: tuple[int, int, int, int]
    normalisation: str = "checkpoint"


@dataclass(frozen=True)
class TimeCells(Request[TimedRound]):
    """Time some cells once each, in this order; a whole round, or where that is slow a part of one. With it go the pixels.

    Args:
        comparison: a number that others have not: whoever ran last is known by it.
        cells, shape, normalisation: as `ExamineCell`'s.
        slow: whether passes are so slow that telling how far they are makes no difference.
    """

    WORKER, TASK, REPLY = "model", "time", TimedRound

    comparison: int
    cells: tuple[Cell, ...]
    shape: tuple[int, int, int, int]
    normalisation: str = "checkpoint"
    slow: bool = False


@dataclass(frozen=True)
class LookedInside:
    """What one pass has told. With it come the maps, float32, in the order of `shapes`.

    Args:
        answer: of the clip as it is.
        label: the index of its class.
        known: whether the weights are trained; else the answer means nothing.
        shapes: method → (layers, heads, L, H, W) of its maps, see `vivit.explain.attention.Look`; 'rollout' is (1, 1, L, H, W).
        pass_seconds: about what a pass of one clip takes.
        at_once: how many clips go through the model in one batch.
    """

    answer: Answer
    label: int
    known: bool
    shapes: dict[str, tuple[int, int, int, int, int]]
    pass_seconds: float
    at_once: int


@dataclass(frozen=True)
class LookInside(Request[LookedInside]):
    """See what a model looks at in a clip, in one pass that is not timed. With it go the pixels.

    Args:
        checkpoint, attention, precision, normalisation, shape: as `Classify`'s.
    """

    WORKER, TASK, REPLY = "model", "look_inside", LookedInside

    checkpoint: str
    attention: str
    precision: str
    normalisation: str
    shape: tuple[int, int, int, int]


@dataclass(frozen=True)
class Probabilities:
    """A class's probability, of each clip."""

    of: tuple[float, ...]


@dataclass(frozen=True)
class DeleteTubelets(Request[Probabilities]):
    """Classify a clip without some of its tubelets, in one batch. With it go the pixels and the masks, bool.

    Args:
        look: of what.
        label: the class's index.
        masks: the shape of the masks, (n, L, H, W).
    """

    WORKER, TASK, REPLY = "model", "delete", Probabilities

    look: LookInside
    label: int
    masks: tuple[int, int, int, int]


@dataclass(frozen=True)
class Answers:
    """What a model says of each clip."""

    of: tuple[Answer, ...]


@dataclass(frozen=True)
class AnswerOrders(Request[Answers]):
    """Classify a clip's frames in other orders, in one batch. With it go the pixels.

    Args:
        look: of what.
        label: the index of the class that the clip as it is gets.
        orders: the frames of each, by their place in the clip.
    """

    WORKER, TASK, REPLY = "model", "reorder", Answers

    look: LookInside
    label: int
    orders: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class WindowsAsked:
    """How windows are classified, of a film or a camera.

    Args:
        checkpoint, attention, precision, normalisation, execution: as `Classify`'s.
        grid: how they lie.
    """

    checkpoint: str
    attention: str
    precision: str
    normalisation: str
    execution: str
    grid: Grid


@dataclass(frozen=True)
class WindowAnswers:
    """Answers of windows. With them come the scores, (B, K) float32.

    Args:
        familiar: whether each is like the training clips; None where the checkpoint has no statistics of them.
        labels: K names.
        at_once: how many windows may go through the model in one batch.
    """

    familiar: tuple[bool | None, ...]
    labels: tuple[str, ...]
    at_once: int


@dataclass(frozen=True)
class ClassifyWindows(Request[WindowAnswers]):
    """Classify windows that share pictures, in one pass. With it go the pixels.

    Args:
        how: they are classified.
        shape: of the pixels, (n, H, W, 3).
        rows: B windows of T each, as places in the pixels.
    """

    WORKER, TASK, REPLY = "model", "classify_windows", WindowAnswers

    how: WindowsAsked
    shape: tuple[int, int, int, int]
    rows: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ClassifiedClips:
    """What a cell has found of clips.

    Args:
        records: theirs, in their order.
        asked: how they were classified, with what the worker has chosen.
        step: the fewest clips whose views fill passes without a rest.
    """

    records: tuple[Record, ...]
    asked: Asked
    step: int


@dataclass(frozen=True)
class ClassifyClips(Request[ClassifiedClips]):
    """Classify labelled clips in passes of one size. With it go the pixels of each.

    Args:
        asked: by which model, and how; with a batch size of 0 it is what the device takes.
        records: of the clips, without answers.
        shape: of each clip, (V, T, H, W, 3).
    """

    WORKER, TASK, REPLY = "model", "classify_clips", ClassifiedClips

    asked: Asked
    records: tuple[Record, ...]
    shape: tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Features:
    """Features of clips. With them come the numbers, (n, size) float32, see `vivit.teach.taking`.

    Args:
        size: numbers of a clip.
        at_once: clips of a pass that fit.
    """

    size: int
    at_once: int


@dataclass(frozen=True)
class TakeFeatures(Request[Features]):
    """Take what a model's head sees of clips, in passes of one size. With it go the pixels of each.

    Args:
        checkpoint, attention, precision, execution, normalisation: as `Classify`'s.
        shape: of each clip, (1, T, H, W, 3).
    """

    WORKER, TASK, REPLY = "model", "take_features", Features

    checkpoint: str
    attention: str
    precision: str
    execution: str
    normalisation: str
    shape: tuple[int, int, int, int, int]


@dataclass(frozen=True)
class TeachHead(Request[Report]):
    """Fit a head to features, and write a checkpoint of the model with it. With it go the features, (N, size).

    Args:
        checkpoint: whose the features are.
        normalisation: whose pixel values they are of, which the written processor makes.
        labels: N names.
        folder: where the checkpoint is to be; it is there whole, or not at all.
        clip_seconds: about how long the clips are; None where frames are not spread over them.
        feature_seconds: for the report.
    """

    WORKER, TASK, REPLY = "model", "teach_head", Report

    checkpoint: str
    normalisation: str
    labels: tuple[str, ...]
    folder: str
    clip_seconds: float | None
    feature_seconds: float = 0.0


# The hub workers, whose hello is a `HubState`


@dataclass(frozen=True)
class HubState:
    """What can be offered before anything is asked of the Hub.

    Args:
        endpoint: the Hub's address.
        offline: whether HF_HUB_OFFLINE is set.
        embedded, cached: names of checkpoints that need no network.
    """

    endpoint: str
    offline: bool
    embedded: tuple[str, ...]
    cached: tuple[str, ...]


@dataclass(frozen=True)
class InspectCheckpoint(Request[CheckpointInfo]):
    """Look at a checkpoint of the Hub before it is downloaded. Args: revision: None for the newest."""

    WORKER, TASK, REPLY = "hub", "inspect", CheckpointInfo

    name: str
    revision: str | None = None


@dataclass(frozen=True)
class DownloadCheckpoint(Request[CheckpointInfo]):
    """Bring a checkpoint of the Hub onto this machine; a cancelled download goes on where it stopped."""

    WORKER, TASK, REPLY = "download", "download", CheckpointInfo

    name: str
    revision: str | None = None


@dataclass(frozen=True)
class ListClips(Request[ClipList]):
    """List the clips of a dataset. Args: revision: None for the newest."""

    WORKER, TASK, REPLY = "hub", "list_clips", ClipList

    dataset: str
    revision: str | None = None


@dataclass(frozen=True)
class DownloadedClip:
    """A clip that is on this machine. Args: path: its file; clip: what its folders say of it."""

    path: str
    clip: Clip


@dataclass(frozen=True)
class DownloadClip(Request[DownloadedClip]):
    """Bring one clip onto this machine.

    Args:
        file: its path in the dataset.
        revision: the commit that was listed; None for the newest.
        asked: when it was listed, see `vivit.hub.ClipList`.
    """

    WORKER, TASK, REPLY = "download-clip", "download_clip", DownloadedClip

    dataset: str
    file: str
    revision: str | None = None
    asked: float = 0.0
