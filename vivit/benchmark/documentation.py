"""The benchmark tables of the model's documentation: as published, and the same columns from our measurements.

Source: the ViViT page of the transformers documentation, 'Using Scaled Dot Product Attention'; one A100 40GB, PyTorch 2.3,
`google/vivit-b-16x2-kinetics400`. Its method: one call to warm up, the peak reset, CUDA events around each batch, the mean
of them; memory is CUDA's largest allocation in MB of 1e6 bytes; 'speedup' and 'memory saved' are (eager / sdpa - 1) * 100.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from vivit.benchmark.families import Gain, gain_of
from vivit.benchmark.measurement import Latency, Measurement
from vivit.benchmark.results import Result, find_ratio_of
from vivit.benchmark.wording import times
from vivit.names import PRECISIONS

_INFERENCE = (
    "num_batches",
    "batch_size",
    "is cuda",
    "is half",
    "Speedup (%)",
    "Mem eager (MB)",
    "Mem BT (MB)",
    "Mem saved (%)",
)
_TRAINING = (
    "num_training_steps",
    "batch_size",
    "is cuda",
    "Speedup (%)",
    "Eager peak mem (MB)",
    "sdpa peak mem (MB)",
    "Mem saving (%)",
)

PUBLISHED_INFERENCE: list[dict[str, Any]] = [
    dict(zip(_INFERENCE, row, strict=True))
    for row in [
        (20, 1, True, False, 15.422, 715.807, 317.079, 125.75),
        (20, 2, True, False, 17.146, 1234.75, 447.175, 176.122),
        (20, 4, True, False, 18.093, 2275.82, 709.864, 220.6),
        (20, 8, True, False, 19.284, 4358.19, 1233.24, 253.393),
    ]
]
PUBLISHED_TRAINING: list[dict[str, Any]] = [
    dict(zip(_TRAINING, (100, 1, True, 7.122, 2575.28, 5932.54, 130.364), strict=True))
]

FAULTS = (
    "The training table has its two memory columns swapped: it says that eager needs 2575 MB and sdpa 5933 MB, and yet that "
    "sdpa saves 130.4 %. Only 5932.54 / 2575.28 - 1 is 130.4 %, so eager needed 5933 MB and sdpa 2575 MB.",
    "The inference table says float32 ('is half' is False), but its sdpa peak of 317 MB at batch size 1 is less than the "
    "float32 weights alone, 356 MB. It must have been half precision, whose weights take 178 MB.",
    "The training figures can't be float32 either: a training step with eager keeps the softmax of all 12 layers for the "
    "backward pass, 12 × 12 × 3137² numbers or 5668 MB in float32, and with the weights that is more than 5933 MB.",
)


QUANTISATION = (
    "Of quantisation the documentation says that weights kept in fewer bits take less memory, and loads the model in 8 bits "
    "with bitsandbytes; it gives no figures. These are what each precision keeps its weights in, and what that costs."
)


HALF = {"float32": False, "float16": True}  # the table has no word for other precisions
LEAST_BATCHES = 20


MARKS = "marks"  # a column of ours, not of the documentation's


def tables(result: Result) -> Iterator[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
    """(mode, our table, the published table), for inference and for training, where this result has cells for it."""
    if ours := inference_table(result):
        yield "inference", ours, PUBLISHED_INFERENCE
    if ours := training_table(result):
        yield "training", ours, PUBLISHED_TRAINING


def inference_table(result: Result) -> list[dict[str, Any]]:
    """Our eager beside our sdpa, by the documentation's method and in its columns; a line a precision and batch size.

    Cells with fewer calls after a warm-up than the documentation's are left out; 'num_batches' is 'processes × calls'.
    """
    return [
        dict(
            zip(
                (*_INFERENCE, MARKS),
                (n, cell.batch_size, on_cuda, HALF[cell.precision], *figures),
                strict=True,
            )
        )
        for cell, n, on_cuda, figures in _pairs(result, "inference", HALF, LEAST_BATCHES)
    ]


def training_table(result: Result) -> list[dict[str, Any]]:
    """As `inference_table`, for training, in float32 and with any number of steps: its columns tell no precision."""
    return [
        dict(zip((*_TRAINING, MARKS), (n, cell.batch_size, on_cuda, *figures), strict=True))
        for cell, n, on_cuda, figures in _pairs(result, "training", ("float32",), 1)
    ]


def weights_table(result: Result) -> list[dict[str, Any]]:
    """What the weights take in each precision, with the usual backend where it was measured.

    Returns:
        A line a precision, of the first checkpoint; [] without float32 and another, and for a sweep that did not keep what
        weights are in.
    """
    rows: dict[str, Measurement] = {}
    for row in sorted(result.rows, key=lambda row: (row.cell.attention != "sdpa", row.cell.batch_size)):
        ours = row.cell.checkpoint == result.rows[0].cell.checkpoint
        if ours and row.memory and row.cell.mode == "inference" and row.cell.execution == "plain":
            rows.setdefault(row.cell.precision, row)
    base = rows.get("float32")
    if base is None or base.memory is None or not base.memory.weights_kept_in or len(rows) < 2:
        return []
    table = []
    for row in (rows[name] for name in PRECISIONS if name in rows):
        memory, ratio, agreement = row.memory, find_ratio_of(row, base), result.agreement(row)
        assert memory
        kept = ", ".join(f"{size / 1e6:,.1f} {kind}" for kind, size in memory.weights_kept_in.items())
        table.append(
            {
                "cell": row.cell.name,
                "weights (MB)": memory.weights / 1e6,
                "kept in (MB)": kept or None,
                "of float32 (%)": 100 * memory.weights / base.memory.weights,
                "peak (MB)": memory.peak / 1e6,
                "times as fast as float32": None if row is base or ratio is None else " (".join(times(ratio)) + ")",
                "same top 1": agreement.top1 if agreement else None,
                "largest logit difference": agreement.max_logit_difference if agreement else None,
            }
        )
    return table


def gains(result: Result) -> list[Gain]:
    """Every sound row beside the one that differs from it in being eager alone, as the documentation compares."""
    sound = {row.cell: row for row in result.rows if row.sound}
    pairs = [(row, sound.get(replace(cell, attention="eager"))) for cell, row in sound.items()]
    return [gain_of(result, row, eager) for row, eager in pairs if eager and eager is not row]


def _pairs(result: Result, mode: str, precisions: Collection[str], least: int) -> list[tuple[Any, ...]]:
    rows = {r.cell: r for r in result.rows}
    found = []
    for cell, eager in rows.items():
        sdpa = rows.get(replace(cell, attention="sdpa"))
        if cell.attention != "eager" or cell.mode != mode or cell.manner or cell.num_frames or sdpa is None:
            continue
        if cell.checkpoint != result.rows[0].cell.checkpoint:  # the table has no column for models
            continue
        if cell.precision not in precisions:
            continue
        if eager.latency and sdpa.latency and eager.memory and sdpa.memory:
            fewer = min(eager.latency, sdpa.latency, key=lambda latency: len(latency.samples_ms))
            if len(fewer.samples_ms) < least or not (eager.sound and sdpa.sound):
                continue
            n = _batches(fewer)
            a, b = _megabytes(eager), _megabytes(sdpa)
            speed = _percent(eager.latency.mean, sdpa.latency.mean)
            marks = ", ".join(dict.fromkeys([*eager.caveats, *sdpa.caveats])) or None
            found.append((cell, n, result.machine.device == "cuda", (speed, a, b, _percent(a, b), marks)))
    return found


def _batches(latency: Latency) -> str:
    """'2 × 20' for 20 calls in each of two processes, '20 + 17' where they differ."""
    counts = [len(r.samples_ms) for r in latency.rounds if r.warm]
    return f"{len(counts)} × {counts[0]}" if len(set(counts)) == 1 else " + ".join(map(str, counts))


def _megabytes(row: Measurement) -> float:
    assert row.memory is not None
    return (row.memory.allocated or row.memory.peak) / 1e6


def _percent(eager: float, sdpa: float) -> float:
    return (eager / sdpa - 1) * 100
