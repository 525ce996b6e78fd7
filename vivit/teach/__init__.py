"""A new head on frozen features: a checkpoint for classes of one's own, from a handful of clips of each.

What computes with a model is imported on first use, so that a page which only draws pays for no `import torch`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vivit.teach.report import LeftOut, Report

if TYPE_CHECKING:
    from vivit.teach.heads import Taught, fit_head
    from vivit.teach.taking import look_of

_ROOM = {"Taught": "heads", "fit_head": "heads", "look_of": "taking"}

__all__ = ["LeftOut", "Report", "Taught", "fit_head", "look_of"]


def __getattr__(name: str) -> Any:
    if name not in _ROOM:
        raise AttributeError(f"module 'vivit.teach' has no attribute {name!r}")
    return getattr(import_module(f"vivit.teach.{_ROOM[name]}"), name)
