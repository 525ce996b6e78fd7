"""What repositories hold here, and what to expect of an answer."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from tests.hub_server import TOKEN

CONFIG = {
    "model_type": "vivit",
    "architectures": ["VivitForVideoClassification"],
    "id2label": {"0": "wave", "1": "jump"},
}
PROCESSOR = b'{"do_resize": true}'
WEIGHTS = hashlib.shake_256(b"weights").digest(1_600_000)
STORAGE = "^storage GET"
INFORMATION = r"^hub GET /api/(models|datasets)/[^/]+/[^/?]+(\?blobs=true)?$"
CLIPS = {f"{split}/{label}/{k}.mp4": f"{split} {label} {k}".encode() for split in ("train", "val")
         for label in ("archery", "flying_kite") for k in range(3)}  # fmt: skip
Answer = dict[str, Any]


def files(weights: dict[str, bytes] | None = None, **config: Any) -> dict[str, bytes]:
    """A checkpoint as a repository has it, with files no loading needs."""
    weights = {"model.safetensors": WEIGHTS} if weights is None else weights
    text = json.dumps({k: v for k, v in (CONFIG | config).items() if v is not None}).encode()
    others = {"README.md": b"# A model", "runs/events.bin": bytes(100), "flax_model.msgpack": bytes(200)}
    return {"config.json": text, "preprocessor_config.json": PROCESSOR, **weights, **others}


def blobs(home: Path, name: str, kind: str = "models") -> Path:
    return home / "hub" / f"{kind}--{name.replace('/', '--')}" / "blobs"


def partials(home: Path, name: str, kind: str = "models") -> list[Path]:
    return sorted(blobs(home, name, kind).glob("*.incomplete"))


def good(answer: Answer) -> Any:
    assert "error" not in answer, answer
    return answer["result"]


def refused(answer: Answer, *words: str) -> str:
    """The sentence of an expected error, which is one the visitor can read and act on."""
    assert answer.get("class") == "HubError", answer
    sentence: str = answer["error"]
    assert all(word in sentence for word in words), sentence
    assert sentence.endswith(".") and "\n" not in sentence and 30 < len(sentence) < 330, sentence
    assert re.search(r"Choose|Check|[Tt]ry again|Give|Leave|log in|Free|Unset|still works", sentence), sentence
    assert TOKEN not in json.dumps(answer)
    return sentence
