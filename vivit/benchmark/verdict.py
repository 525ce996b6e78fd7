"""What a sweep says, in one sentence that is right or says that it cannot tell. No torch is used."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from vivit.benchmark.families import (
    Family,
    Gain,
    base_of,
    cell_name,
    family,
    family_name,
    foremost,
    full_name,
    gains,
    model_gains,
    models_of,
    shared,
    together,
)
from vivit.benchmark.measurement import CAVEATS, MIB, NOT_FINITE, Cell, Measurement, agreement
from vivit.benchmark.ratios import FASTER, NO_DIFFERENCE, SHORT, SLOWER, Ratio
from vivit.benchmark.results import Result, find_ratio_of, others_share
from vivit.benchmark.side_by_side import BUSY_SHARE
from vivit.benchmark.wording import Answer, answers, busy, compare, memory, names, plain, sentence, times
from vivit.checkpoint import RANDOM_CONFIGS

MOST = 2  # cells that are as fast as the best and are named
ACCURACY = (
    "Random weights say nothing of accuracy: what each model reaches is in the paper's table 2 (arXiv:2103.15691)."
)


def verdict(result: Result, of: Family | None = None) -> str:
    """What a sweep says and all that is to be known of it, in sentences. Args: of: of which family; None for the foremost."""
    return " ".join([statement(result, of), *remarks(result, of)])


def statement(result: Result, of: Family | None = None) -> str:
    """What a sweep says, in one sentence. Args: as `verdict`'s."""
    measured, of = together(result), of or foremost(result)
    if of:
        several = len({row.cell.checkpoint for row in measured[of]}) > 1
        return _models(result, of) if several else _compared(result, measured[of])
    reasons = Counter(row.reason for row in result.rows if row.reason)
    return " ".join(["Nothing was measured in this sweep.", *(reason for reason, _ in reasons.most_common(1))])


def remarks(result: Result, of: Family | None = None) -> list[str]:
    """Why its figures say less than they seem, a sentence each. Args: as `verdict`'s."""
    measured, models, of = together(result), models_of(result), of or foremost(result)
    if not of:
        return []
    several = len(models) > 1
    what, beside = (shared, model_gains) if several else (family, gains)
    found = [gain for gain in beside(result) if what(gain.row.cell) == of]
    compared = any(gain.ratio for gain in found)
    said = _caveats(measured[of], models, compared=compared)
    if compared and (untold := [full_name(gain.row.cell, models) for gain in found if not gain.ratio]):
        against = models[found[0].base.cell.checkpoint] if several else cell_name(found[0].base.cell)
        said.append(f"Of too few rounds that {against} was measured in, and compared with nothing: {_first(untold)}.")
    share = None if result.machine.on_gpu else others_share(measured[of])
    if share is not None and share > BUSY_SHARE:
        said.append(busy(share, compared=compared))
    return [*said, ACCURACY] if several and all(name in RANDOM_CONFIGS for name in models) else said


def _models(result: Result, of: Family) -> str:
    """How the other models compare with the first in one backend and precision: sdpa in float32, where that was measured."""
    models = models_of(result)
    first, *others = models
    rows = {row.cell: row for row in result.rows if shared(row.cell) == of}
    known = {gain.row.cell: gain for gain in model_gains(result) if gain.ratio and gain.row.cell in rows}
    usual = sorted(known, key=lambda cell: (cell_name(cell) != "sdpa in float32", cell.execution != "plain"))
    where = f"{result.machine.device_name} ({family_name(of)})"
    if not usual:
        return (
            f"On {where} the models cannot be compared: it takes {min(SHORT)} rounds, warmed up, of one of them and of "
            f"{models[first]} with the same backend and precision."
        )
    clauses = []
    for name in others:
        cell = replace(usual[0], checkpoint=name)
        base = rows.get(replace(cell, checkpoint=first))
        if cell in known:
            clauses.append(_beside(known[cell], models[name], models[first]))
        elif cell in rows and base:
            lacking = "has no sound figure" if rows[cell].latency else "was not measured"
            clauses.append(f"{models[name]} {lacking}{_predicted(rows[cell], base)}")
    clauses += _longest(result, usual[0], models, of)
    return sentence([f"on {where}, {cell_name(usual[0])}: {clauses[0]}", *clauses[1:]])


def _longest(result: Result, like: Cell, models: Mapping[str, str], of: Family) -> Iterator[str]:
    """What is predicted of the longest clips, where those have no figures: of shorter ones another model may be ahead."""
    frames = max((row.cell.num_frames or 0 for row in result.rows), default=0) or None
    rows = {row.cell: row for row in result.rows}
    first, *others = [rows.get(replace(like, checkpoint=name, num_frames=frames)) for name in models]
    if not first or shared(first.cell) == of or any(row and row.latency for row in (first, *others)):
        return
    said = [
        f"{models[row.cell.checkpoint]}{_predicted(row, first)}" for row in others if row and _predicted(row, first)
    ]
    if said:
        beside = models[first.cell.checkpoint]
        yield f"clips of {frames} frames were not measured: beside {beside} {names(said)}"


def _beside(gain: Gain, name: str, first: str) -> str:
    """'model 2 takes 0.62 of model 1's time (0.60 to 0.64) and 20 % less memory, with 0.63 of the operations'."""
    assert gain.ratio
    value, interval = times(gain.ratio.inverse)
    held = memory(gain.memory_share) if gain.memory_share else ""
    counted = _operations(gain.row, gain.base)
    if gain.ratio.said == NO_DIFFERENCE:
        same = f"{name} {held}, and " if held else f"of {name} "
        return f"{same}no difference in time to {first} can be told ({interval} of its time){counted}"
    took = f"as long as {first}" if gain.ratio.same else f"{value} of {first}'s time"
    if gain.ratio.verdict == SLOWER:
        took = f"{value} times {first}'s time"
    return f"{name} takes {took} ({interval})" + f" and {held.removeprefix('takes ')}" * bool(held) + counted


def _operations(row: Measurement, base: Measurement) -> str:
    if not (row.estimate and base.estimate):
        return ""
    return f", with {row.estimate.flops / base.estimate.flops:.2f} of the operations"


def _predicted(row: Measurement, base: Measurement) -> str:
    """What the cost model says of a row without a sound figure."""
    ours, theirs = row.estimate, base.estimate
    if not (ours and theirs and ours.latency_ms and theirs.latency_ms):
        return ""
    return f" (predicted: {ours.latency_ms / theirs.latency_ms:.2f} of the time{_operations(row, base)})"


def _compared(result: Result, rows: list[Measurement]) -> str:
    base = base_of(rows)
    if base is None or sum(row.sound for row in rows) < 2:
        return _alone(result, rows, base)
    ours = family(base.cell)
    known = [(gain.ratio, gain) for gain in gains(result) if gain.ratio and family(gain.row.cell) == ours]
    if not known:
        if any(len(_rounds(row)) < sum(r.warm for r in row.latency.rounds) for row in rows if row.latency):
            return "No ratio can be told: version 0.1.0, which made this sweep, did not keep what ran in one round."
        most = max(len(_rounds(row) & _rounds(base)) for row in rows if row is not base)
        return f"No ratio can be told: it takes {min(SHORT)} rounds that both cells were measured in, here were {most}."
    ratio, best = _best(known)
    where = result.machine.device_name
    if family_name(ours) != "batch size 1":
        where += f" ({family_name(ours)})"
    against = cell_name(base.cell)
    said = compare(ratio, best.memory_share, cell_name(best.row.cell), against)
    all_slower = all(r.verdict == SLOWER for r, _ in known) and len(rows) - 1 == len(known) > 1
    nothing = f"nothing is faster than {against}: " * all_slower
    clauses = [f"on {where}, {nothing}{said}"]
    if ratio.verdict == FASTER:
        clauses += _ties(best, [gain for _, gain in known])
    if found := _answers(base, rows):
        clauses.append(found)
    return sentence(clauses)


def _best(known: list[tuple[Ratio, Gain]]) -> tuple[Ratio, Gain]:
    """The cell with the highest lower end of its ratio, or one that is faster than that cell in the rounds of both."""
    best = max(known, key=lambda pair: (pair[0].verdict == FASTER, pair[0].verdict != SLOWER, pair[0].low))
    for pair in sorted(known, key=lambda pair: pair[0].low):
        beside = find_ratio_of(pair[1].row, best[1].row)
        if beside and beside.verdict == FASTER and pair[0].verdict == best[0].verdict:
            best = pair
    return best


def _rounds(row: Measurement) -> set[int]:
    return {r.number for r in row.latency.rounds if r.warm} if row.latency else set()


def _alone(result: Result, rows: list[Measurement], base: Measurement | None) -> str:
    """What there is to say of fewer than two sound figures."""
    if base is None or len(rows) > 1:
        return f"Nothing can be compared: two cells need {min(SHORT)} processes each, warmed up."
    missing = [row.reason for row in result.rows if not row.latency and family(row.cell) == family(base.cell)]
    took = f"{cell_name(base.cell)} takes {plain(base.latency.median)} ms" if base.latency else ""
    held = f" and {plain(base.memory.peak / MIB)} MiB" if base.memory else ""
    if not missing:
        return f"One cell alone: {took}{held}; there is nothing to compare it with."
    reason, _ = Counter(missing).most_common(1)[0]
    only = f"Only one of {1 + len(missing)} cells was measured, so there is nothing to compare it with: {took}{held}."
    return f"{only} {reason}".rstrip()


def _ties(best: Gain, others: list[Gain]) -> list[str]:
    """Those that may be as fast as the best, and those of which that cannot be told."""
    ties, untold = [], []
    for other in others:
        if other is best:
            continue
        ratio, name = find_ratio_of(best.row, other.row), cell_name(other.row.cell)
        if ratio and ratio.verdict == NO_DIFFERENCE:
            ties.append(f"{name} ({times(ratio)[1]})")
        elif not ratio:
            untold.append(name)
    said = [f"between it and {_first(ties)} no difference can be told"] if ties else []
    return [*said, f"it was not measured in the same rounds as {_first(untold)}"] if untold else said


def _first(cells: list[str]) -> str:
    """The first of them, and how many more there are."""
    return names(cells if len(cells) <= MOST else [*cells[:MOST], f"{len(cells) - MOST} more"])


def _answers(base: Measurement, rows: list[Measurement]) -> str:
    if base.cell.mode != "inference" or base.cell.checkpoint in RANDOM_CONFIGS:
        return ""
    if not all(row.logits or row.reason == NOT_FINITE for row in rows):
        return ""  # not all were kept
    first = base.logits
    found = [
        Answer(cell_name(r.cell), r.logits, agreement(r.logits, first) if r.logits and first else None)
        for r in rows
        if r is not base
    ]
    return answers([Answer(cell_name(base.cell), first, None), *found])


def _caveats(rows: list[Measurement], models: Mapping[str, str], *, compared: bool) -> list[str]:
    """A sentence for each kind of figure that says less than it seems.

    Args:
        models: as `full_name`'s.
        compared: whether there are ratios.
    """
    said = []
    for kind in CAVEATS:
        cells = [full_name(row.cell, models) for row in rows if kind in row.caveats]
        if cells:
            which = "all figures" if len(cells) == len(rows) > 1 else _first(cells)
            how_far = " (the ratios' intervals say how far those are)" * (compared and kind == "noisy")
            said.append(f"{KINDS[kind]}{how_far}: {which}.")
    return said


KINDS = {
    "cold": "Cold, the first call of a process, and compared with nothing",
    "one process": "Of one process only, and compared with nothing",
    "noisy": "Noisy, so the times are not to be trusted to a few per cent",
}
