"""Which maps a model has of what it looked at: plain words, no torch and no numbers."""

from vivit.config import VivitConfig
from vivit.errors import UserError

METHODS: dict[str, str] = {
    "attention": "attention of [CLS]: how much the token that is classified takes from each tubelet",
    "space": "attention over space: how much the tubelets of a time step look at each of them",
    "time": "attention over time: how much the tubelets of one place look at each of its time steps",
    "rollout": "attention rollout: what reaches the classified token from each tubelet, through all layers",
}
_OF: dict[str, tuple[str, ...]] = {
    "none": ("attention", "rollout"),
    "encoder": ("attention", "space", "rollout"),
    "self_attention": ("space", "time", "rollout"),
    "dot_product": ("space", "time", "rollout"),
}


class MapUnavailable(UserError):
    """A map that a model does not have."""


def methods(config: VivitConfig) -> tuple[str, ...]:
    """The maps of a model, keys of `METHODS`, the one to begin with first; none for a model without layers."""
    return _OF[config.factorization] if config.num_hidden_layers else ()


def refuse(config: VivitConfig, method: str) -> None:
    """Raise for a map that a model does not have.

    Raises:
        ValueError: for a method that is no key of `METHODS`.
        MapUnavailable: for one that this model has not, with those that it has.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown; known are {', '.join(METHODS)}")
    if not (here := methods(config)):
        raise MapUnavailable(
            "This checkpoint has no layers, so nothing attends to anything. Choose another checkpoint."
        )
    if method not in here:
        if method == "attention":
            why = "it has no [CLS]: what is classified is the mean of all tokens"
        elif config.factorization == "encoder":
            why = "its attention over time is of whole steps, and has no places"
        else:
            why = "each of its tokens attends to all others, over space and time at once"
        raise MapUnavailable(f"This checkpoint has no map '{method}', for {why}. Choose {_either(here)}.")


def has_heads(method: str) -> bool:
    """Whether there is a map for each layer and head; rollout is one map of them all."""
    return method != "rollout"


def _either(names: tuple[str, ...]) -> str:
    *others, last = [f"'{name}'" for name in names]
    return f"{', '.join(others)} or {last}" if others else last
