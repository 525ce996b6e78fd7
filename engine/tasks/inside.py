"""What is asked of the model worker to see what a model looks at, and to check that."""

from dataclasses import dataclass

from engine.messages import Request
from vivit.explain.counterfactuals import Answer


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
        look: which clip by which model, as it was looked into.
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
        look: which clip by which model, as it was looked into.
        label: the index of the class that the clip as it is gets.
        orders: the frames of each, by their place in the clip.
    """

    WORKER, TASK, REPLY = "model", "reorder", Answers

    look: LookInside
    label: int
    orders: tuple[tuple[int, ...], ...]
