"""What many records come to: accuracy with its interval, class by class, what is taken for what. No torch is used."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vivit.evaluate.records import Record
from vivit.intervals import wilson


@dataclass(frozen=True)
class Share:
    """A share that was counted.

    Args:
        value: 0 to 1; None of none.
        low, high: its 95 % interval, by `vivit.intervals.wilson`.
    """

    value: float | None
    low: float
    high: float

    @classmethod
    def of(cls, right: int, of: int) -> "Share":
        """`right` of `of`."""
        return cls(right / of if of else None, *wilson(right, of))


@dataclass(frozen=True)
class OfClass:
    """The clips of one class.

    Args:
        target, label: the class's index and name.
        clips: how many there were, those that failed left out.
        right: of them, whose answer is right.
        in_top5: of them, whose class is among the best five.
        share: right of all.
    """

    target: int
    label: str
    clips: int
    right: int
    in_top5: int
    share: Share


@dataclass(frozen=True)
class Summary:
    """What records come to.

    Args:
        clips: how many records.
        failed: of them, clips that could not be read, or whose answer is no number; they are in none of the other figures.
        top1, top5: the share of clips whose class is the best, or among the best five.
        per_class: the classes that there are clips of, by index.
        confusion: (true class, class that was answered, clips), those that there are, by index.
        familiar: the share of clips like the training clips; None where that cannot be told.
        decode_seconds: processor time of reading a clip, the mean; None of none.
        model_seconds: a clip's share of its passes' wall time, the mean; None of none.
    """

    clips: int
    failed: int
    top1: Share
    top5: Share
    per_class: tuple[OfClass, ...]
    confusion: tuple[tuple[int, int, int], ...]
    familiar: Share | None
    decode_seconds: float | None
    model_seconds: float | None


class Tally:
    """A count that grows with every record, and can be asked at any time. Args: labels: class index → name."""

    def __init__(self, labels: Mapping[int, str]) -> None:
        self.labels = labels
        self.clips = self.failed = self.right = self.in_top5 = 0
        self._in_top5: Counter[int] = Counter()
        self._confusion: Counter[tuple[int, int]] = Counter()
        self._familiar: Counter[bool] = Counter()
        self._decode = self._model = 0.0

    def add(self, records: Iterable[Record]) -> None:
        """Count some more."""
        for record in records:
            self.clips += 1
            if record.error:
                self.failed += 1
                continue
            self.right += record.right
            self.in_top5 += record.rank <= 5
            self._in_top5[record.target] += record.rank <= 5
            self._confusion[record.target, record.top[0].index] += 1
            if record.familiar is not None:
                self._familiar[record.familiar] += 1
            self._decode += record.decode_seconds
            self._model += record.model_seconds

    @property
    def top1(self) -> Share:
        """The share that is right, so far."""
        return Share.of(self.right, self.clips - self.failed)

    def summary(self) -> Summary:
        """What there is so far."""
        known = self.clips - self.failed
        of_class: Counter[int] = Counter()
        right: Counter[int] = Counter()
        for (target, answer), clips in self._confusion.items():
            of_class[target] += clips
            right[target] += clips * (target == answer)
        return Summary(
            clips=self.clips,
            failed=self.failed,
            top1=self.top1,
            top5=Share.of(self.in_top5, known),
            per_class=tuple(
                OfClass(
                    target,
                    self.labels[target],
                    clips,
                    right[target],
                    self._in_top5[target],
                    Share.of(right[target], clips),
                )
                for target, clips in sorted(of_class.items())
            ),
            confusion=tuple((*pair, clips) for pair, clips in sorted(self._confusion.items())),
            familiar=Share.of(self._familiar[True], self._familiar.total()) if self._familiar else None,
            decode_seconds=self._decode / known if known else None,
            model_seconds=self._model / known if known else None,
        )


def summarise(records: Iterable[Record], labels: Mapping[int, str]) -> Summary:
    """What records come to. Args: labels: class index → name."""
    tally = Tally(labels)
    tally.add(records)
    return tally.summary()
