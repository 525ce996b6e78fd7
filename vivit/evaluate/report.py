"""An evaluation as lines: text for people, JSON for programs. No torch is used."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vivit.evaluate.agreement import Agreement, in_words
from vivit.evaluate.calibration import Calibration
from vivit.evaluate.records import Asked, Record, Source
from vivit.evaluate.summary import OfClass, Share, Summary
from vivit.film import clock

WORST = 5  # classes that are named
FAILED = 10  # clips that failed whose sentence is told


@dataclass(frozen=True)
class Pace:
    """How fast a run was.

    Args:
        clips: that it classified, those that were there before left out.
        seconds: its wall time.
        waited: of it, in which the model waited for clips; None where that is not known.
    """

    clips: int
    seconds: float
    waited: float | None = None

    @property
    def clips_per_second(self) -> float | None:
        """None where nothing was done."""
        return self.clips / self.seconds if self.clips and self.seconds else None


def clip_line(record: Record) -> str:
    """A clip as one JSON object on one line."""
    return json.dumps({"kind": "clip", **asdict(record)}, allow_nan=False)


def summary_line(
    asked: Asked,
    source: Source,
    summary: Summary,
    calibration: Calibration | None,
    pace: Pace,
    agreements: Mapping[str, Agreement],
) -> str:
    """All of an evaluation but its clips as one JSON object on one line. Args: as `as_text`."""
    told = {
        "kind": "summary",
        **asdict(summary),
        "clips_per_second": pace.clips_per_second,
        "seconds": pace.seconds,
        "waited_seconds": pace.waited,
        "calibration": asdict(calibration) if calibration else None,
        "against": [{"evaluation": name, **_agreement(found)} for name, found in agreements.items()],
        "asked": asdict(asked),
        "source": asdict(source),
    }
    return json.dumps(told, allow_nan=False)


def _agreement(found: Agreement) -> dict[str, Any]:
    changed = [
        {"path": one.path, "label": one.label, "ours": one.top[0].label, "theirs": other.top[0].label}
        for one, other in found.changed
    ]
    values = {name: value for name, value in asdict(found).items() if name != "changed"}
    return values | {"difference": found.difference, "changed": changed, "sentence": in_words(found)}


def as_text(
    asked: Asked,
    source: Source,
    records: Sequence[Record],
    summary: Summary,
    calibration: Calibration | None,
    pace: Pace,
    agreements: Mapping[str, Agreement],
) -> str:
    """An evaluation for people.

    Args:
        asked, source: by which model, of which clips.
        records: what was found; summary: what that comes to.
        calibration: None where scores are no probabilities.
        pace: of this run.
        agreements: what another evaluation is called → how this one's answers go with it.
    """
    lines = [f"{source.name}: {summary.clips} of {source.clips} clips; {asked.cell}"]
    if summary.clips > summary.failed:
        lines += [f"  top-1  {share_text(summary.top1)}", f"  top-5  {share_text(summary.top5)}"]
        lines += [f"  {line}" for line in _worst(summary.per_class)]
        if summary.familiar:
            lines.append(f"  like the training clips  {share_text(summary.familiar)}")
        if calibration and calibration.error is not None:
            lines.append(
                f"  expected calibration error  {100 * calibration.error:.1f} % ({calibration.clips} clips in "
                f"{len(calibration.bins)} bins)"
            )
    lines.append(f"  {pace_text(summary, pace)}")
    lines += [f"  against {name}: {in_words(found)}" for name, found in agreements.items()]
    failed = [record for record in records if record.error]
    lines += [f"  failed: {record.path}: {record.error}" for record in failed[:FAILED]]
    if len(failed) > FAILED:
        lines.append(f"  failed: {len(failed) - FAILED} more")
    return "\n".join(lines)


def _worst(classes: Sequence[OfClass]) -> list[str]:
    """The classes with the smallest share of right answers, where there are any that are not all right."""
    wrong = sorted((c for c in classes if c.right < c.clips), key=lambda c: (c.right / c.clips, -c.clips, c.label))
    width = max((len(c.label) for c in wrong[:WORST]), default=0)
    lines = [f"{c.label:{width}}  {c.right} of {c.clips}, {share_text(c.share)}" for c in wrong[:WORST]]
    return [
        f"of {len(wrong)} of {len(classes)} classes not all are right; the worst:",
        *map("  {}".format, lines),
    ] * bool(lines)


def share_text(share: Share) -> str:
    """'97.2 % (85.8 to 99.5)'."""
    value = "none" if share.value is None else f"{100 * share.value:.1f} %"
    return f"{value} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def pace_text(summary: Summary, pace: Pace) -> str:
    """How fast it was, and where the time went."""
    words = []
    if rate := pace.clips_per_second:
        words.append(f"{rate:.3g} clips a second")
        if pace.waited is not None:
            words.append(f"the model waited for clips {100 * pace.waited / pace.seconds:.0f} % of the time")
    if summary.decode_seconds is not None and summary.model_seconds is not None:
        words.append(
            f"a clip takes {summary.decode_seconds:.3g} core-seconds to read and {summary.model_seconds:.3g} s in the model"
        )
    return "; ".join(words) or "no clip was classified"


def progress_text(done: int, of: int, top1: Share, pace: Pace) -> str:
    """How far it is. Args: done: of them, those that were there before too; of: all clips; top1: so far."""
    words = [f"{done} of {of}", f"top-1 {share_text(top1)}"]
    if rate := pace.clips_per_second:
        words += [f"{rate:.3g} clips/s", f"{clock((of - done) / rate)} left"]
    return ", ".join(words)
