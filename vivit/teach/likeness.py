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

# Of a look, root of the mean square. Cuts of one recording of the renderer, in which the figure moves, differ by at most 0.031;
# other recordings of the same action by at least 0.054. A webcam's recording that is kept as such differs by 0.013 at most.
ALIKE = 0.035
# Of features, relative to their length, where looks are alike too: a clip that is encoded another time.
SAME = 0.05
EQUAL = 1e-5  # likewise, where looks are not known: the very same clip


@dataclass(frozen=True)
class Likeness:
    """Clips that are alike, by their places.

    Args:
        same: groups that are one clip several times.
        recordings: groups of one class's clips that are cuts of one recording, which no other class has clips of.
        one_place: whether all clips of all classes look alike.
    """

    same: tuple[tuple[int, ...], ...] = ()
    recordings: tuple[tuple[int, ...], ...] = ()
    one_place: bool = False

    def together(self, labels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """The groups that are judged by heads which have seen none of them: not those that are all of a class."""
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
    features = np.asarray(features, np.float64)
    lengths = np.linalg.norm(features, axis=1)
    apart, longer = _distances(features), np.maximum(lengths[:, None], lengths[None])
    if looks is None:
        return Likeness(_groups(apart <= EQUAL * longer))
    looks = np.asarray(looks, np.float64)
    alike = _distances(looks) / looks.shape[1] ** 0.5 <= ALIKE
    same = apart <= SAME * longer
    places = _groups(alike)
    recordings = tuple(group for group in places if len({labels[clip] for clip in group}) == 1)
    one_place = any(len(group) == len(labels) for group in places) and len({*labels}) > 1
    return Likeness(_groups(same & alike), recordings, one_place)


def _distances(rows: np.ndarray) -> np.ndarray:
    """Of each to each, (N, N)."""
    squares = (rows**2).sum(1)
    return np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * rows @ rows.T, 0))


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
