"""What pages ask of workers and what workers answer: frozen dataclasses here, JSON on the wire. No torch is used.

Follow a clip: `ReadFrames` → `Frames` with the pixels → `Classify` → `Classification`. Pixels and pictures go beside them as
raw bytes, see each request. Each kind of worker has a module here; the model worker, whose hello is a
`vivit.machine.Machine`, has one for each of its abilities.
"""

from engine.messages import Nothing
from engine.tasks.classify import Classification, Classify, Prediction
from engine.tasks.evaluating import ClassifiedClips, ClassifyClips
from engine.tasks.films import (
    EXTRACT_SECONDS,
    CloseFilm,
    DescribeFilm,
    FilmChunk,
    HoldFilms,
    MakeExtract,
    MomentPictures,
    ReadFilm,
    ReadMoment,
)
from engine.tasks.hub import DownloadCheckpoint, DownloadClip, DownloadedClip, HubState, InspectCheckpoint, ListClips
from engine.tasks.inside import AnswerOrders, Answers, DeleteTubelets, LookedInside, LookInside, Probabilities
from engine.tasks.measure import ExamineCell, MeasuredRound, MeasureRound, TimeCells
from engine.tasks.media import (
    ClipPixels,
    DecodePictures,
    DrawInside,
    EncodePictures,
    FindClips,
    Frames,
    Hold,
    MakePreview,
    MakeThumbnail,
    Pictures,
    ReadClip,
    ReadFrames,
    ReadTimings,
)
from engine.tasks.teaching import Features, TakeFeatures, TeachHead
from engine.tasks.windows import ClassifyWindows, WindowAnswers, WindowsAsked

__all__ = [
    "EXTRACT_SECONDS",
    "AnswerOrders",
    "Answers",
    "Classification",
    "ClassifiedClips",
    "Classify",
    "ClassifyClips",
    "ClassifyWindows",
    "ClipPixels",
    "CloseFilm",
    "DecodePictures",
    "DeleteTubelets",
    "DescribeFilm",
    "DownloadCheckpoint",
    "DownloadClip",
    "DownloadedClip",
    "DrawInside",
    "EncodePictures",
    "ExamineCell",
    "Features",
    "FilmChunk",
    "FindClips",
    "Frames",
    "Hold",
    "HoldFilms",
    "HubState",
    "InspectCheckpoint",
    "ListClips",
    "LookInside",
    "LookedInside",
    "MakeExtract",
    "MakePreview",
    "MakeThumbnail",
    "MeasureRound",
    "MeasuredRound",
    "MomentPictures",
    "Nothing",
    "Pictures",
    "Prediction",
    "Probabilities",
    "ReadClip",
    "ReadFilm",
    "ReadFrames",
    "ReadMoment",
    "ReadTimings",
    "TakeFeatures",
    "TeachHead",
    "TimeCells",
    "WindowAnswers",
    "WindowsAsked",
]
