"""What an expert would ask of a sweep, and what its measurements and the cost model answer. No torch is used."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vivit.benchmark.families import cell_name, families, models_of, with_model
from vivit.benchmark.measurement import MIB, Estimate, Measurement
from vivit.benchmark.ratios import NO_DIFFERENCE
from vivit.benchmark.results import Result, find_ratio_of
from vivit.benchmark.wording import names, percent, plain, speed, times
from vivit.names import BACKENDS, FACTORIZATIONS

HALVES = ("float16", "bfloat16")
FAST, SLOW = 1.1, 0.5  # times float32's rate: from there on a precision is called fast, and below that slow
FUSED = "scaled_dot_product"  # is in the name of every fused kernel; and of the math kernel, which writes the scores


@dataclass(frozen=True)
class Card:
    """A question and its answer. Args: lines: of a table that belongs to it, column → text."""

    question: str
    answer: str
    lines: tuple[dict[str, str], ...] = ()


def explain(result: Result) -> Iterator[Card]:
    """Questions and answers, as far as this sweep has what it takes."""
    models = models_of(result)
    for rows in list(families(result).values())[:1]:
        of = f"Of {model}: " if (model := models[rows[0].cell.checkpoint]) else ""
        for card in (*_kernels(rows), *_same_kernels(rows), *_scores(rows)):
            yield replace(card, question=f"{of}{card.question}")
    yield from _halves(result)
    yield from _share(result)


def _ran(row: Measurement) -> str:
    return " → ".join(filter(None, (row.kernel, ", ".join(row.device_kernels))))


def _kernels(rows: list[Measurement]) -> Iterator[Card]:
    lines = tuple({"cell": cell_name(row.cell), "kernel": _ran(row)} for row in rows if row.kernel)
    if lines:
        written = any(row.kernel == "_softmax" for row in rows)
        softmax = " '_softmax' is attention written out, with every score in memory." * written
        yield Card("Which kernel ran?", f"As PyTorch's profiler saw it, in a call that was not timed.{softmax}", lines)


def _same_kernels(rows: list[Measurement]) -> Iterator[Card]:
    """`sdpa` is a choice that PyTorch makes: where it made that of another name, the two are one."""
    for sdpa in rows:
        for other in rows if sdpa.cell.attention == "sdpa" and sdpa.kernel else []:
            same_cell = (other.cell.precision, other.cell.execution) == (sdpa.cell.precision, sdpa.cell.execution)
            if other.cell.attention == "sdpa" or not same_cell or _ran(other) != _ran(sdpa):
                continue
            name, precision = other.cell.attention, sdpa.cell.precision
            yield Card(
                f"Do sdpa and {name} run the same kernel in {precision}? Yes.",
                f"sdpa lets PyTorch pick, and in {precision} it picks the very kernel that {name} names: {_ran(sdpa)}."
                + _measured(sdpa, other),
            )


def _measured(sdpa: Measurement, other: Measurement) -> str:
    """How two cells of one kernel compare in what was measured."""
    ratio = find_ratio_of(sdpa, other)
    if not ratio:
        return ""
    if ratio.verdict == NO_DIFFERENCE:
        return f" Measured: {NO_DIFFERENCE} ({times(ratio)[1]})."
    noisy = " One of the two figures is noisy." * bool(sdpa.caveats or other.caveats)
    return (
        f" And yet, as measured, sdpa {speed(ratio, other.cell.attention)}. The kernel is one, so the difference is not its: "
        f"it is in what is around the kernel, or in how the machine ran the processes.{noisy}"
    )


def _scores(rows: list[Measurement]) -> Iterator[Card]:
    """Where the time and memory of attention that keeps its scores go."""
    for kept in rows:
        backend = BACKENDS.get(kept.cell.attention)
        like = replace(kept.cell, attention="sdpa")
        fused = next((r for r in rows if r.cell == like and FUSED in r.kernel and "math" not in r.kernel), None)
        if kept.cell.attention != "eager" or not (backend and fused and kept.memory and fused.memory):
            continue
        if not (kept.estimate and fused.estimate):
            continue
        ratio = find_ratio_of(fused, kept)
        a, b = kept.estimate.latency_ms, fused.estimate.latency_ms
        predicted = f" Of time, it had said {plain(a)} ms and {plain(b)}." if a and b else ""
        took = f" In time, sdpa {speed(ratio, 'eager')}." if ratio and ratio.verdict != NO_DIFFERENCE else ""
        yield Card(
            f"Where do eager's time and memory go, in {kept.cell.precision}?",
            f"A clip is {kept.estimate.num_tokens:,} tokens, and {_compared(kept.estimate)}. eager writes them to memory, "
            "reads them for the softmax, and again for the product with the values; sdpa works through them tile by tile and "
            f"never holds them all. Beyond the weights eager held {kept.memory.activations / MIB:,.0f} MiB and sdpa "
            f"{fused.memory.activations / MIB:,.0f} MiB; the cost model, which counts tensors, had said "
            f"{kept.estimate.activations / MIB:,.0f} and {fused.estimate.activations / MIB:,.0f}.{took}{predicted}",
        )
        return


def _compared(estimate: Estimate) -> str:
    """What with what, and how often."""
    n, kind = estimate.num_tokens, estimate.factorization
    if kind != "none":
        return (
            f"none is compared with all others ({FACTORIZATIONS.get(kind, kind)}): "
            f"{estimate.scores / 1e6:,.1f} million scores, of all heads and layers"
        )
    every = "each head of each layer compares every one with every other"
    return f"{every}: {n:,}² = {n * n / 1e6:,.1f} million scores, times heads, times layers"


def _halves(result: Result) -> Iterator[Card]:
    """By the machine's rates, so also where no half precision was measured."""
    machine, rates = result.machine, result.machine.flops_per_second
    shares = {name: rates[name] / rates["float32"] for name in HALVES if rates.get(name) and rates.get("float32")}
    slow = [name for name, share in shares.items() if share < SLOW and not machine.on_gpu]
    fast = [name for name, share in shares.items() if share > FAST]

    def figures(half: list[str]) -> str:
        said = names([f"{rates[name] / 1e9:,.0f} GFLOP/s in {name}" for name in half])
        return f"{said} beside {rates['float32'] / 1e9:,.0f} in float32"

    if slow:
        yield Card(
            f"Why {'are' if len(slow) > 1 else 'is'} {names(slow)} slow here?",
            f"{machine.device_name} multiplies matrices with {figures(slow)}: PyTorch has no fast products of this kind for it "
            f"({machine.cpu_capability or 'unknown instructions'}), so it converts numbers one by one. "
            "'float16-weights' keeps the weights as small, and computes in float32.",
        )
    if fast:
        yield Card(
            f"Why {'are' if len(fast) > 1 else 'is'} {names(fast)} fast here?",
            f"{machine.device_name} has units for products of such numbers: {figures(fast)}. And half as many bytes go to and "
            "from memory.",
        )


def _share(result: Result) -> Iterator[Card]:
    found = [(share, row) for row in result.rows if row.sound and (share := result.matrix_share(row))]
    if found and max(found, key=lambda pair: pair[0])[0] <= 1:  # else the rate was measured beside other work
        share, row = max(found, key=lambda pair: pair[0])
        flops = row.flops_per_second or 0.0
        cell = with_model(row.cell.name, row.cell, models_of(result))
        yield Card(
            "Which cell comes nearest to what this machine can do?",
            f"{cell} computes {flops / 1e9:,.0f} GFLOP/s, {percent(share)} of what matrix products alone reach here "
            f"in {row.cell.precision}. The rest goes to memory traffic, norms, the softmax, and calls.",
        )
