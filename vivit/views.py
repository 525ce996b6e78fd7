"""Views of a clip, whose logits are averaged: stretches of its time × crops along the longer side. No torch is used.

Letters: S stretches (temporal views), C crops (spatial views), V = S × C views; T frames of each.
"""

from dataclasses import dataclass

from vivit.errors import UserError

MOST = 64  # views of a clip


@dataclass(frozen=True)
class Views:
    """How often a clip is looked at.

    Args:
        temporal: S.
        spatial: C.
    Raises:
        UserError: for fewer than one of either, or more than `MOST` together.
    """

    temporal: int = 1
    spatial: int = 1

    def __post_init__(self) -> None:
        if self.temporal < 1 or self.spatial < 1 or self.count > MOST:
            raise UserError(f"{self} views cannot be used; choose from 1x1 to {MOST} views, such as 4x3.")

    def __str__(self) -> str:
        return f"{self.temporal}x{self.spatial}"

    @property
    def count(self) -> int:
        """V."""
        return self.temporal * self.spatial

    @classmethod
    def parse(cls, text: str) -> "Views":
        """'4x3' → four temporal views, each with three crops. Raises UserError for anything else."""
        temporal, _, spatial = str(text).partition("x")
        if not (temporal.isdecimal() and spatial.isdecimal()):
            raise UserError(f"views wants TEMPORALxSPATIAL, such as 1x1 or 4x3, not {text!r}.")
        return cls(int(temporal), int(spatial))
