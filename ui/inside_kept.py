"""What a visit keeps of models that were looked into: all that was seen, and the map that was drawn."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.checks import RunningCheck
from engine.tasks import Frames, LookedInside, LookInside
from ui.chosen import ChosenClip, Settings
from vivit.config import VivitConfig
from vivit.explain.counterfactuals import Counterfactuals
from vivit.explain.deletion import Deletion


@dataclass(frozen=True)
class MapChoice:
    """One map of many. Args: method: a key of `vivit.explain.METHODS`; layer, head: from 0; None for the mean of all."""

    method: str
    layer: int | None = None
    head: int | None = None


@dataclass(eq=False)
class Insight:
    """What was seen inside a model with one clip, and what its checks have found.

    Args:
        key: of what: pixels, checkpoint, how it ran.
        clip: the clip; settings: how it ran.
        config: the checkpoint's.
        frames: those that the model got; pictures: each as a JPEG.
        look, pixels, looked: what was asked and answered.
        maps: method → (layers, heads, L, H, W).
        deletions: a map → its check, where one was begun.
        orders: the check of time; None before it is begun.
    """

    key: tuple[Any, ...]
    clip: ChosenClip
    settings: Settings
    config: VivitConfig
    frames: Frames
    pictures: list[bytes] = field(repr=False)
    look: LookInside
    pixels: bytes = field(repr=False)
    looked: LookedInside
    maps: dict[str, np.ndarray] = field(repr=False)
    deletions: dict[MapChoice, RunningCheck[Deletion]] = field(default_factory=dict)
    orders: RunningCheck[Counterfactuals] | None = None

    @property
    def checks(self) -> list[RunningCheck[Any]]:
        """All that were begun."""
        return [*self.deletions.values(), *([self.orders] if self.orders else [])]


@dataclass(frozen=True)
class Drawing:
    """A map as files. Args: key: of which map over which frames, and how."""

    key: tuple[Any, ...]
    png: bytes = field(repr=False)
    mp4: bytes = field(repr=False)
