"""The published checkpoint and clips, from the real Hugging Face Hub: `make test-network`, for whoever has a network.

About 400 MB come into the user's ordinary Hub cache, once.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.hub_client import Client
from vivit import VivitForVideoClassification, VivitImageProcessor, hub, pipeline
from vivit.processing import NORMALISATIONS

pytestmark = pytest.mark.network

SPAGHETTI = "hf-internal-testing/spaghetti-video"
# First five logits on those 32 frames, and how far off ours may be: transformers' integration test of ViViT for pixels in
# [-3, 1], and the same with pixels in [-1, 1] as the original was trained.
REFERENCE = {
    "transformers": ([-0.9498, 2.7971, -1.4049, 0.1024, -1.8353], 2e-4),
    "original": ([-1.0543, 2.0764, -0.2104, 0.4439, -0.9658], 1e-4),
}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A process of its own: the other tests' HF_HUB_OFFLINE is not for this one, the visitor's own variables are."""
    names = ("HF_", "HUGGING", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    client = Client(**{k: v for k, v in os.environ.items() if k.startswith(names) and k != "HF_HUB_OFFLINE"})
    yield client
    client.close()


def good(answer: dict[str, Any]) -> Any:
    assert "error" not in answer, answer
    return answer["result"]


@pytest.fixture(scope="module")
def checkpoint(client: Client) -> dict[str, Any]:
    answer: dict[str, Any] = good(client.call("download", name=hub.KINETICS_CHECKPOINT))
    return answer


@pytest.fixture(scope="module")
def model(checkpoint: dict[str, Any]) -> VivitForVideoClassification:
    return VivitForVideoClassification.from_pretrained(checkpoint["folder"])


def test_the_checkpoint_is_what_the_documentation_says(
    checkpoint: dict[str, Any], model: VivitForVideoClassification, client: Client
) -> None:
    assert checkpoint["num_labels"] == 400 and 350e6 < checkpoint["size_bytes"] < 720e6
    assert sum(p.numel() for p in model.parameters()) == 88_954_000
    assert list(model.config.id2label.values()) == list(hub.kinetics400_labels())
    again = client.call("download", name=hub.KINETICS_CHECKPOINT)
    assert good(again)["folder"] == checkpoint["folder"] and len(again["notes"]) < 10
    print({k: v for k, v in checkpoint.items() if k != "config"})


@pytest.mark.parametrize("normalisation", REFERENCE)
def test_the_reference_logits(
    normalisation: str, model: VivitForVideoClassification, checkpoint: dict[str, Any], client: Client
) -> None:
    frames = np.load(good(client.call("download_clip", dataset=SPAGHETTI, file="eating_spaghetti_32_frames.npy"))[0])
    assert frames.shape[0] == 32 and frames.dtype == np.uint8
    processor = VivitImageProcessor.from_pretrained(checkpoint["folder"], **NORMALISATIONS[normalisation])
    with torch.no_grad():
        logits = model(**processor(list(frames), return_tensors="pt")).logits
    expected, tolerance = REFERENCE[normalisation]
    assert logits.shape == (1, 400)
    torch.testing.assert_close(logits[0, :5], torch.tensor(expected), rtol=tolerance, atol=tolerance)
    if normalisation == "original":
        assert logits.argmax().item() == 116  # eating spaghetti


def test_top_1_on_real_clips(model: VivitForVideoClassification, checkpoint: dict[str, Any], client: Client) -> None:
    listed = good(client.call("list_clips"))
    labels = {clip["label"] for clip in listed["clips"]}
    known = hub.kinetics400_labels()
    assert len(labels) > 1 and all(any(hub.same_label(label, name) for name in known) for label in labels), labels
    classifier = pipeline("video-classification", model, image_processor=checkpoint["folder"])
    hits, tried = 0, 0
    for label in sorted(labels):
        clips = [c for c in listed["clips"] if c["label"] == label and c["split"].startswith("val")][:2]
        for clip in clips:
            path, _ = good(client.call("download_clip", dataset=listed["dataset"], file=clip["file"]))
            names = [p["label"] for p in classifier(Path(path), top_k=400)]
            rank = next(k for k, name in enumerate(names, 1) if hub.same_label(label, name))
            hits, tried = hits + (rank == 1), tried + 1
            print(f"{clip['file']}: {names[0]!r}, the truth {label!r} is number {rank}")
    # The paper reports 79.9 % of top-1 over several views a clip; half of a handful by one view leaves room for chance.
    assert tried >= 4 and hits >= tried / 2, f"{hits} of {tried}"


def test_a_cancelled_download_goes_on_where_it_stopped(client: Client, tmp_path: Path) -> None:
    other = Client(HF_HOME=str(tmp_path), **{k: v for k, v in os.environ.items() if k in ("HF_ENDPOINT", "HF_TOKEN")})
    assert other.call("download", name=hub.KINETICS_CHECKPOINT, stop_at=0.02)["class"] == "Stop"
    [partial] = tmp_path.rglob("*.incomplete")
    here = partial.stat().st_size
    answer = other.call("download", name=hub.KINETICS_CHECKPOINT, stop_at=0.04)
    assert answer["class"] == "Stop" and partial.stat().st_size > here > 1_000_000
    # The small files, then the weights from where they stopped: nothing in between.
    assert not [fraction for fraction, _ in answer["notes"] if 0.001 < fraction < 0.015]
    other.close()


def test_what_is_not_there(client: Client) -> None:
    answer = client.call("inspect_checkpoint", name="google/there-is-no-such-vivit-b")
    assert answer["class"] == "HubError" and "no public repository" in answer["error"], answer
    answer = client.call("inspect_checkpoint", name=hub.KINETICS_CHECKPOINT, revision="no-such-branch")
    assert answer["class"] == "HubError" and "no such revision" in answer["error"], answer
    answer = client.call("inspect_checkpoint", name="google-bert/bert-base-uncased")
    assert answer["class"] == "HubError" and "not a ViViT" in answer["error"], answer
