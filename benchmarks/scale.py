"""What many clips cost on several GPUs, computed from two measured rates: the table of docs/SCALE.md.

`python -m benchmarks.scale DECODE_SECONDS CLIPS_PER_SECOND CORES_OF_A_GPU` prints it.
"""

import sys

CLIPS, GPUS = 1_000_000, (1, 8, 64)


def hours(clips: int, gpus: int, decode_seconds: float, clips_per_second: float, cores: int) -> float:
    """How long they take: the slower of decoding and the model, which go on at the same time.

    Args:
        clips: how many.
        gpus: how many, each with a model.
        decode_seconds: processor time of one core to read, resize and crop a clip.
        clips_per_second: of one GPU that never waits.
        cores: that decode, for each GPU.
    """
    return clips / (gpus * min(clips_per_second, cores / decode_seconds)) / 3600


def table(decode_seconds: float, clips_per_second: float, cores: int) -> str:
    """Lines of a table. Args: as those of `hours`."""
    lines = [
        "| GPUs | cores that decode | hours | GPU-hours | core-hours of decoding |",
        "| --- | --- | --- | --- | --- |",
    ]
    for gpus in GPUS:
        wall = hours(CLIPS, gpus, decode_seconds, clips_per_second, cores)
        decoding = CLIPS * decode_seconds / 3600
        lines.append(f"| {gpus} | {gpus * cores} | {wall:,.2f} | {gpus * wall:,.1f} | {decoding:,.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
