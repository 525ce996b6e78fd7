"""What is asked of the hub workers, whose hello is a `HubState`."""

from dataclasses import dataclass

from engine.messages import Request
from vivit.hub import CheckpointInfo, Clip, ClipList


@dataclass(frozen=True)
class HubState:
    """What can be offered before anything is asked of the Hub.

    Args:
        endpoint: the Hub's address.
        offline: whether HF_HUB_OFFLINE is set.
        embedded, cached: names of checkpoints that need no network.
    """

    endpoint: str
    offline: bool
    embedded: tuple[str, ...]
    cached: tuple[str, ...]


@dataclass(frozen=True)
class InspectCheckpoint(Request[CheckpointInfo]):
    """Look at a checkpoint of the Hub before it is downloaded. Args: revision: None for the newest."""

    WORKER, TASK, REPLY = "hub", "inspect", CheckpointInfo

    name: str
    revision: str | None = None


@dataclass(frozen=True)
class DownloadCheckpoint(Request[CheckpointInfo]):
    """Bring a checkpoint of the Hub onto this machine; a cancelled download goes on where it stopped."""

    WORKER, TASK, REPLY = "download", "download", CheckpointInfo

    name: str
    revision: str | None = None


@dataclass(frozen=True)
class ListClips(Request[ClipList]):
    """List the clips of a dataset. Args: revision: None for the newest."""

    WORKER, TASK, REPLY = "hub", "list_clips", ClipList

    dataset: str
    revision: str | None = None


@dataclass(frozen=True)
class DownloadedClip:
    """A clip that is on this machine. Args: path: its file; clip: what its folders say of it."""

    path: str
    clip: Clip


@dataclass(frozen=True)
class DownloadClip(Request[DownloadedClip]):
    """Bring one clip onto this machine.

    Args:
        file: its path in the dataset.
        revision: the commit that was listed; None for the newest.
        asked: when it was listed, see `vivit.hub.ClipList`.
    """

    WORKER, TASK, REPLY = "download-clip", "download_clip", DownloadedClip

    dataset: str
    file: str
    revision: str | None = None
    asked: float = 0.0
