"""What the app promises for every file: frames, or one clear sentence, from a worker that lives on in bounded memory."""

from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from engine import Engine, Job
from engine.failures import KILLED, OUT_OF_MEMORY, TOO_MUCH_WORK, cannot_start, overdue, process_ended, unexpected
from engine.media import THUMBNAIL
from tests.engine.waiting import worker

READ = {"checkpoint": "vivit-mannequin", "sampling": "uniform", "stride": 1}

# The first words of the sentences that blame the app, or in whose place a sentence about the clip should stand.
FAULTS = [
    sentence.split("(")[0].split("'")[0][:30]
    for sentence in (
        *(KILLED, OUT_OF_MEMORY, TOO_MUCH_WORK, unexpected("x"), overdue(0)[:22], cannot_start("x")),
        *(process_ended(status)[0] for status in (None, 0, -11, -15)),
    )
]


def submit(engine: Engine, task: str, path: Path, worker: str = "media") -> Job[Any]:
    arguments: dict[str, Any] = {"path": str(path)} | (READ if task == "read" else {})
    return engine.submit(worker, task, arguments)


def broken_promise(job: Job[Any], path: Path, folder: Path) -> str:
    """What is wrong with the end of a job; empty if nothing is.

    Args:
        job: one that `submit` made.
        path: its file.
        folder: the folder of this server that the file lies in.
    """
    if job.state == "failed":
        return _wrong_with_sentence(job, path, folder)
    if job.state != "done":
        return f"it is {job.state}"
    return {"read": _wrong_with_frames, "preview": _wrong_with_preview, "thumbnail": _wrong_with_thumbnail}[job.task](
        job
    )


def _wrong_with_sentence(job: Job[Any], path: Path, folder: Path) -> str:
    sentence, all_words = job.error, job.error + job.details
    if any(sentence.startswith(fault) for fault in FAULTS):
        return f"the app is to blame: {sentence} ({job.details})"
    if not (sentence.endswith(".") and sentence[0].isupper() and sentence.isprintable() and len(sentence) < 250):
        return f"no clear sentence: {sentence!r}"
    if "Traceback" in all_words or any(hidden in all_words for hidden in (str(folder), path.name)):
        return f"it tells of the server: {all_words!r}"
    return ""


def _wrong_with_frames(job: Job[Any]) -> str:
    result, (pixels, *jpegs) = job.result, job.blobs
    frames, height, width, channels = result["shape"]
    indices, seconds = result["indices"], result["seconds"]
    if channels != 3 or len(pixels) != frames * height * width * channels:
        return f"{len(pixels)} bytes of pixels for the shape {result['shape']}"
    if not (len(jpegs) == len(indices) == len(seconds) == frames):
        return f"{len(jpegs)} pictures, {len(indices)} indices, {len(seconds)} times for {frames} frames"
    if list(indices) != sorted(indices) or not 0 <= indices[0] <= indices[-1] < result["num_frames"]:
        return f"indices {indices} of {result['num_frames']} frames"
    if list(seconds) != sorted(seconds) or result["fps"] < 0 or result["duration_seconds"] < 0:
        return f"times {seconds}, {result['fps']} frames a second, {result['duration_seconds']} s"
    if not all(warning.endswith(".") and warning.isprintable() for warning in result["warnings"]):
        return f"no clear warnings: {result['warnings']}"
    return ""


def _wrong_with_preview(job: Job[Any]) -> str:
    return "" if job.blobs[0][4:8] == b"ftyp" else f"the preview is no MP4: {job.blobs[0][:20]!r}"


def _wrong_with_thumbnail(job: Job[Any]) -> str:
    with Image.open(BytesIO(job.blobs[0])) as picture:
        return "" if (picture.format, picture.size) == ("JPEG", THUMBNAIL) else f"the thumbnail is {picture}"


class Memory:
    """The resident memory of the one media worker of this process."""

    def __init__(self) -> None:
        self.process = worker("engine.media")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    @property
    def peak_bytes(self) -> int:
        """The highest it was since `forget_peak`: samples taken from outside would miss a short peak."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    @property
    def bytes(self) -> int:
        return self.process.memory_info().rss
