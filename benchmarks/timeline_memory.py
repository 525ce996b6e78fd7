"""What `python -m vivit timeline` holds in memory as it goes through a long film.

`python -m benchmarks.timeline --memory MINUTES` prints it.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
FULL_HD = (1920, 1080)
MINUTE_SECONDS, EARLY_SECONDS = 60.0, 180.0


def memory(minutes: int, model: str) -> dict[str, Any]:
    """The command's resident memory as it goes through a long film of 1080p.

    Args:
        minutes: how long the film is.
        model: as the command takes it.

    Returns:
        figures, and under 'samples' seconds of the film, seconds of wall time and MiB, one a window.

    Raises:
        SystemExit: if it fails, or the film is too short to say anything.
    """
    from benchmarks.films import repeat, write_film

    if minutes * MINUTE_SECONDS <= EARLY_SECONDS:
        raise SystemExit(f"--memory wants more than {EARLY_SECONDS / MINUTE_SECONDS:g} minutes, not {minutes}.")
    with tempfile.TemporaryDirectory(prefix="vivit-timeline-") as folder:
        once, path = Path(folder) / "once.mp4", Path(folder) / "film.mp4"
        print("writing the film", file=sys.stderr, flush=True)
        repeat(write_film(once, MINUTE_SECONDS, FULL_HD), path, MINUTE_SECONDS, minutes)
        command = [sys.executable, "-m", "vivit", "timeline", str(path), "--model", model, "--windows", "--json"]
        samples: list[tuple[float, float, float]] = []  # seconds of the film, of wall time, MiB
        begin, told = time.monotonic(), 0.0
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            running = psutil.Process(process.pid)
            assert process.stdout
            for line in process.stdout:
                end = json.loads(line)["end"]
                samples.append((end, time.monotonic() - begin, running.memory_info().rss / 2**20))
                if end >= told:
                    print(f"minute {end / MINUTE_SECONDS:.1f}: {samples[-1][2]:.0f} MiB", file=sys.stderr, flush=True)
                    told += MINUTE_SECONDS
        if process.returncode or not samples:
            raise SystemExit(f"It ended with status {process.returncode}.")
    early = next(mib for end, _, mib in samples if end >= EARLY_SECONDS)
    later = [mib for end, _, mib in samples if end >= EARLY_SECONDS]
    return {
        "minutes": minutes,
        "windows": len(samples),
        "times_real_time": samples[-1][0] / samples[-1][1],
        "mib_at_minute_3": early,
        "mib_at_the_end": later[-1],
        "end_of_minute_3": later[-1] / early,
        "most_of_minute_3": max(later) / early,
        "samples": samples,
    }
