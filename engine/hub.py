"""The hub worker's tasks: look up and download checkpoints and clips. No torch, no av; it alone may wait on a network."""

from dataclasses import asdict
from typing import Any

from engine.worker import Progress
from vivit import hub
from vivit.fetch import cache_folder, remember_commit

Answer = tuple[dict[str, Any], list[bytes]]


def start() -> dict[str, Any]:
    """What can be offered before anything is asked of the Hub.

    Returns:
        endpoint; offline (HF_HUB_OFFLINE); embedded and cached, names of checkpoints that need no network.
    """
    from huggingface_hub import constants

    return {
        "endpoint": constants.ENDPOINT,
        "offline": constants.HF_HUB_OFFLINE,
        "embedded": hub.embedded_checkpoints(),
        "cached": tuple(hub.cached_checkpoints()),
    }


def inspect(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """Look at a checkpoint before it is downloaded.

    Args:
        arguments: name; revision or None.
    Returns:
        A `vivit.hub.Checkpoint`.
    """
    progress(0.0, "Asking the Hub")
    return asdict(hub.inspect_checkpoint(arguments["name"], arguments["revision"])), []


def download(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """Bring a checkpoint onto this machine; a cancelled download goes on where it stopped.

    Args:
        arguments: name; revision or None.
        progress: told '124 of 356 MB, 11 MB/s, 20 s left'.
    Returns:
        A `vivit.hub.Checkpoint`; its folder is the name to give to the other workers.
    """
    progress(0.0, "Asking the Hub")
    return asdict(hub.download(arguments["name"], arguments["revision"], progress)), []


def list_clips(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """List the clips of a dataset.

    Args:
        arguments: dataset; revision or None.
    Returns:
        A `vivit.hub.ClipList`, and the folder where its clips lie once they are here.
    """
    progress(0.0, "Asking the Hub")
    found = hub.list_clips(arguments["dataset"], arguments["revision"], progress)
    folder = cache_folder(found.dataset, "dataset") / "snapshots" / found.commit
    return asdict(found) | {"folder": str(folder)}, []


def download_clip(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> Answer:
    """Bring one clip onto this machine.

    Args:
        arguments: dataset; file, its path there; revision or None. A commit is the newest's, as `list_clips` gave it.
        progress: as `download`'s.
    Returns:
        path, and the fields of its `vivit.hub.Clip`, whose label is its ground truth.
    """
    progress(0.0, "Asking the Hub")
    dataset, revision = arguments["dataset"], arguments["revision"]
    path, clip = hub.download_clip(dataset, arguments["file"], revision, progress)
    if revision:
        remember_commit(dataset, "dataset", None, revision)  # or `list_clips` would not find it without a network
    return {"path": str(path)} | asdict(clip), []


TASKS = {task.__name__: task for task in (inspect, download, list_clips, download_clip)}
