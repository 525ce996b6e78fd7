"""A result as lines of plain numbers, a line a cell: for tables on a page, in a report and in a file. No torch is used."""

from dataclasses import replace
from typing import Any

from vivit.benchmark.families import Gain, cell_name, gains, model_gains, models_of
from vivit.benchmark.measurement import MIB, Measurement
from vivit.benchmark.results import Result


def table(result: Result, base: str | None = None) -> list[dict[str, Any]]:
    """Every row with everything that is known of it, as plain numbers, what matters most first; None where nothing is.

    Args:
        result: a sweep.
        base: what each cell is compared with, see `families.base_of`.
    """
    found = {id(gain.row): gain for gain in gains(result, base)}
    return [_line(result, row, found.get(id(row))) for row in result.rows]


def _line(result: Result, row: Measurement, gain: Gain | None) -> dict[str, Any]:
    cell, latency, memory, estimate = row.cell, row.latency, row.memory, row.estimate
    found, share = result.agreement(row), result.matrix_share(row)
    ratio, saved = (gain.ratio, gain.memory_share) if gain else (None, None)
    rounds = latency.round_medians if latency else []
    return {
        "cell": cell.name,
        "median, ms": latency.median if latency else None,
        "marks": ", ".join(row.caveats) or None,
        "times as fast": ratio.value if ratio else None,
        "from": ratio.low if ratio else None,
        "to": ratio.high if ratio else None,
        "verdict": ratio.said if ratio else None,
        "compared with": cell_name(gain.base.cell) if gain else None,
        "peak, MiB": memory.peak / MIB if memory else None,
        "% less memory": 100 * (1 - saved) if saved else None,
        "status": row.status,
        "reason": row.reason or None,
        "mode": cell.mode,
        "model": cell.checkpoint,
        "attention": cell.attention,
        "precision": cell.precision,
        "batch size": cell.batch_size,
        "frames": cell.num_frames,
        "tokens": estimate.num_tokens if estimate else None,
        "execution": cell.execution,
        "kernel": " / ".join([row.kernel, *row.device_kernels]) if row.kernel else None,
        "mean, ms": latency.mean if latency else None,
        "p5, ms": latency.p5 if latency else None,
        "p95, ms": latency.p95 if latency else None,
        "IQR, ms": latency.iqr if latency else None,
        "n": len(latency.samples_ms) if latency else None,
        "warm": latency.warm if latency else None,
        "rounds, ms": " ".join(f"{ms:.4g}" for ms in rounds) or None,
        "first call, ms": latency.first_ms if latency else None,
        "predicted, ms": estimate.latency_ms if estimate else None,
        "predicted, GFLOP": estimate.flops / 1e9 if estimate else None,
        "clips/s": row.clips_per_second,
        "TFLOP/s": row.flops_per_second / 1e12 if row.flops_per_second else None,
        "of matrix rate, %": 100 * share if share else None,
        "weights, MiB": memory.weights / MIB if memory else None,
        "activations, MiB": memory.activations / MIB if memory else None,
        "predicted peak, MiB": estimate.peak / MIB if estimate else None,
        "allocated, MiB": memory.allocated / MIB if memory and memory.allocated else None,
        "reserved, MiB": memory.reserved / MIB if memory and memory.reserved else None,
        "resident, MiB": memory.resident / MIB if memory else None,
        "largest logit difference": found.max_logit_difference if found else None,
        "KL, nats": found.kl if found else None,
        "same top 1": found.top1 if found else None,
        "shared top 5": found.top5 if found else None,
        "caveats": "; ".join(row.caveats.values()) or None,
    }


def models_table(result: Result) -> list[dict[str, Any]]:
    """Every cell of several models, measured and predicted, beside the first model's in the same backend and precision.

    Returns:
        A line a cell, those of one backend, precision and length under each other; [] where there is one model.
    """
    models = models_of(result)
    if len(models) < 2:
        return []
    first = next(iter(models))
    found = {id(gain.row): gain for gain in model_gains(result)}
    bases = {row.cell: row for row in result.rows if row.cell.checkpoint == first}
    order = list(dict.fromkeys(replace(row.cell, checkpoint="") for row in result.rows))
    order.sort(key=lambda cell: -(cell.num_frames or 0))  # longest clips first, where models differ most
    rows = sorted(result.rows, key=lambda row: order.index(replace(row.cell, checkpoint="")))
    lines = []
    for row in rows:
        cell, estimate, base = row.cell, row.estimate, bases.get(replace(row.cell, checkpoint=first))
        gain = found.get(id(row))
        time = gain.ratio.inverse if gain and gain.ratio else None
        predicted = base.estimate if base and base is not row else None
        known = estimate is not None and predicted is not None
        lines.append(
            {
                "model": models[cell.checkpoint],
                "cell": cell.name,
                "median, ms": row.latency.median if row.latency else None,
                "predicted, ms": estimate.latency_ms if estimate else None,
                f"of {models[first]}'s time": time.value if time else None,
                "from": time.low if time else None,
                "to": time.high if time else None,
                "predicted, of its time": estimate.latency_ms / predicted.latency_ms
                if estimate and predicted and estimate.latency_ms and predicted.latency_ms
                else None,
                "peak, MiB": row.memory.peak / MIB if row.memory else None,
                "predicted peak, MiB": estimate.peak / MIB if estimate else None,
                "of its memory": gain.memory_share if gain else None,
                "GFLOP": estimate.flops / 1e9 if estimate else None,
                "of its operations": estimate.flops / predicted.flops if known and estimate and predicted else None,
                "marks": ", ".join(row.caveats) or None,
                "status": "not measured" if row.status == "cancelled" else row.status,
            }
        )
    return lines


def beside_the_first(result: Result, row: Measurement) -> dict[str, float | None]:
    """A row's time as a share of the first model's in the same cell, and the interval of that."""
    gain = next((gain for gain in model_gains(result) if gain.row is row), None)
    time = gain.ratio.inverse if gain and gain.ratio else None
    first = next(iter(models_of(result).values()))
    values = (time.value, time.low, time.high) if time else (None, None, None)
    return dict(zip((f"of {first}'s time", "time, from", "time, to"), values, strict=True))
