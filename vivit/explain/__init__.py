"""What a model looked at, whether that is true, and whether it used time at all.

What computes with a model is imported on first use, so that a page which only draws pays for no `import torch`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vivit.explain.kinds import METHODS, MapUnavailable, methods

if TYPE_CHECKING:
    from vivit.explain.attention import Look, axis_attention, cls_attention, look, rollout

_ROOM = dict.fromkeys(("Look", "axis_attention", "cls_attention", "look", "rollout"), "attention")

__all__ = ["METHODS", "Look", "MapUnavailable", "axis_attention", "cls_attention", "look", "methods", "rollout"]


def __getattr__(name: str) -> Any:
    if name not in _ROOM:
        raise AttributeError(f"module 'vivit.explain' has no attribute {name!r}")
    return getattr(import_module(f"vivit.explain.{_ROOM[name]}"), name)
