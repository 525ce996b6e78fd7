"""Clips that give each other away: the same one twice, and cuts of one recording. No torch is used.

A head that is judged by a clip of a recording which it has seen knows the room, the light and the person, and not only what
they do. What moves is in the features of a model; where it moves is in a clip's look, its mean picture, in which cuts of a
recording by a camera that stands still are alike. Cuts of one by a camera that moves are not found.

Letters: N clips, E hidden size, L numbers of a look.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Of a look, root of the mean square. Cuts of one recording of the renderer, in which the figure moves, differ by up to 0.031;
# others of the same action by 0.054 and more. Quarters of one real clip by a camera that stands differ by up to 0.013.
ALIKE = 0.035
# Of features, relative to their length: the same pictures. With vivit-mannequin and drawn pictures of a camera that stands,
# other takes of one action differ by 0.05 and more, and a clip that was encoded another time by 0.007 to 0.07: only copies can
# be told.
SAME = 0.002
MOST = 4000  # clips among which likeness is looked for: each is held against each


@dataclass(frozen=True)
class Likeness:
    """Clips that are alike, by their places.

    Args:
        same: groups that are one clip several times.
        recordings: groups of one class's clips that are cuts of one recording, which no other class has clips of.
        in_one_place: how many clips of several classes look alike, where that is at least half of all; else 0.
        looked: whether recordings and places were looked for.
    """

    same: tuple[tuple[int, ...], ...] = ()
    recordings: tuple[tuple[int, ...], ...] = ()
    in_one_place: int = 0
    looked: bool = True

    def together(self, labels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """The groups that are judged by heads which have seen none of them: not recordings that are all clips of a class."""
        sizes = {label: labels.count(label) for label in labels}
        parts = [group for group in self.recordings if len(group) < sizes[labels[group[0]]]]
        inside = {clip for group in parts for clip in group}
        return (*parts, *(group for group in self.same if not inside & {*group}))


def find_likeness(features: np.ndarray, looks: np.ndarray | None, labels: Sequence[str]) -> Likeness:
    """Which clips are alike.

    Args:
        features: (N, E). looks: (N, L), as `vivit.teach.taking.look_of` makes them; None where they are not known.
        labels: N names.
    """
    if len(labels) > MOST:
        return Likeness(looked=False)
    features = np.asarray(features, np.float64)
    lengths = np.linalg.norm(features, axis=1)
    same = _groups(_distances(features) <= SAME * np.maximum(lengths[:, None], lengths[None]))
    if looks is None:
        return Likeness(same, looked=False)
    looks = np.asarray(looks, np.float64)
    places = _groups(_distances(looks) / looks.shape[1] ** 0.5 <= ALIKE)
    own = [group for group in places if len({labels[clip] for clip in group}) == 1]
    shared = max((len(group) for group in places if group not in own), default=0)
    return Likeness(same, tuple(own), shared if 2 * shared >= len(labels) else 0)


def _distances(rows: np.ndarray) -> np.ndarray:
    """Of each to each, (N, N)."""
    squares = (rows**2).sum(1)
    apart: np.ndarray = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * rows @ rows.T, 0))
    return apart


def _groups(linked: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Clips that are linked, one by one or through others, in groups of two or more. Args: linked: (N, N) bool, symmetric."""
    first = list(range(len(linked)))  # of each clip's group, as far as is known

    def find(clip: int) -> int:
        while first[clip] != clip:
            first[clip] = clip = first[first[clip]]
        return clip

    for one, other in zip(*np.nonzero(np.triu(linked, 1)), strict=True):
        first[find(int(other))] = find(int(one))
    found: dict[int, list[int]] = defaultdict(list)
    for clip in range(len(linked)):
        found[find(clip)].append(clip)
    return tuple(sorted(tuple(group) for group in found.values() if len(group) > 1))
