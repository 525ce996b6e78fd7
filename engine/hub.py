"""The hub worker's tasks: look up and download checkpoints and clips. No torch, no av; it alone may wait on a network.

What it is asked for is a visitor's word, so it is never taken for a folder of this machine.
"""

from engine.tasks import (
    DownloadCheckpoint,
    DownloadClip,
    DownloadedClip,
    HubState,
    InspectCheckpoint,
    ListClips,
)
from engine.worker import typed
from vivit import hub
from vivit.hub.cache import remember_commit
from vivit.progress import Progress


def start() -> HubState:
    """What can be offered before anything is asked of the Hub."""
    from huggingface_hub import constants

    cached = tuple(hub.cached_checkpoints())
    return HubState(constants.ENDPOINT, constants.HF_HUB_OFFLINE, hub.embedded_checkpoints(), cached)


def inspect(
    request: InspectCheckpoint, blobs: list[bytes], progress: Progress
) -> tuple[hub.CheckpointInfo, list[bytes]]:
    """Look at a checkpoint before it is downloaded."""
    progress(0.0, "Asking the Hub")
    return hub.inspect_checkpoint(request.name, request.revision, folders=False), []


def download(
    request: DownloadCheckpoint, blobs: list[bytes], progress: Progress
) -> tuple[hub.CheckpointInfo, list[bytes]]:
    """Bring a checkpoint onto this machine; progress is told '124 of 356 MB, 11 MB/s, 20 s left'."""
    progress(0.0, "Asking the Hub")
    return hub.download(request.name, request.revision, progress, folders=False), []


def list_clips(request: ListClips, blobs: list[bytes], progress: Progress) -> tuple[hub.ClipList, list[bytes]]:
    """List the clips of a dataset."""
    progress(0.0, "Asking the Hub")
    return hub.list_clips(request.dataset, request.revision, progress), []


def download_clip(request: DownloadClip, blobs: list[bytes], progress: Progress) -> tuple[DownloadedClip, list[bytes]]:
    """Bring one clip onto this machine; progress as `download`'s."""
    progress(0.0, "Asking the Hub")
    path, clip = hub.download_clip(request.dataset, request.file, request.revision, progress)
    if request.revision and request.asked:  # or `list_clips` would not find it without a network
        remember_commit(request.dataset, "dataset", None, request.revision, request.asked)
    return DownloadedClip(str(path), clip), []


TASKS = typed(
    {InspectCheckpoint: inspect, DownloadCheckpoint: download, ListClips: list_clips, DownloadClip: download_clip}
)
