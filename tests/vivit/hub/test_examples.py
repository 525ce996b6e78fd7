"""The documentation's examples against the Hub's stand-in, and `python -m vivit convert`.

The two examples and the half-precision call are as published, but for the imports, a defined `model_name` and PyAV as reader.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub_client import ROOT, clean
from tests.hub_server import HubServer, Repository
from tests.shorter import some
from vivit import hub


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], bytes]:
    """A tiny checkpoint as `save_pretrained` of transformers leaves it, and a clip of 48 frames."""
    from tests import oracle
    from tests.clips import write_clip

    folder = tmp_path_factory.mktemp("published")
    oracle.save(folder, num_labels=400)
    write_clip(folder / "clip.mp4", num_frames=48)
    clip = (folder / "clip.mp4").read_bytes()
    (folder / "clip.mp4").unlink()
    return {file.name: file.read_bytes() for file in folder.iterdir()}, clip


EXAMPLES = """
import av
import numpy as np
import torch
from huggingface_hub import hf_hub_download, list_repo_files
from PIL import Image

from vivit import VivitForVideoClassification, VivitImageProcessor, VivitModel, pipeline

model_name = "google/vivit-b-16x2-kinetics400"
clips = [f for f in list_repo_files("nateraw/kinetics-mini", repo_type="dataset") if f.endswith(".mp4")]
video_path = hf_hub_download("nateraw/kinetics-mini", repo_type="dataset", filename=clips[0])

image_processor = VivitImageProcessor.from_pretrained(model_name)
classifier = pipeline(task="video-classification", model=model_name, image_processor=image_processor)
print(classifier(video_path))

with av.open(video_path) as file:
    video = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
model = VivitForVideoClassification.from_pretrained(model_name).eval()
indices = np.linspace(0, len(video) - 1, model.config.num_frames, dtype=int)
frames = [Image.fromarray(video[i]).resize((224, 224)) for i in indices]
device = "cuda" if torch.cuda.is_available() else "cpu"
inputs = image_processor(frames, return_tensors="pt").to(device)
model.to(device)
with torch.no_grad():
    probs = model(pixel_values=inputs["pixel_values"]).logits.softmax(-1)[0]
print([{"label": model.config.id2label[i.item()], "score": probs[i].item()} for i in probs.topk(5).indices])

half = VivitModel.from_pretrained(model_name, attn_implementation="sdpa", dtype=torch.float16).to(device)
print(list(half(**inputs).last_hidden_state.shape))
"""


def test_the_examples_of_the_documentation(
    published: tuple[dict[str, bytes], bytes], server: HubServer, tmp_path: Path
) -> None:
    checkpoint, clip = published
    server.models["google/vivit-b-16x2-kinetics400"] = Repository(checkpoint)
    server.datasets["nateraw/kinetics-mini"] = Repository({"val/eating_spaghetti/-abc_1.mp4": clip})
    environment = clean(HF_HOME=str(tmp_path), HF_ENDPOINT=server.address())
    run = subprocess.run(
        [sys.executable, "-c", EXAMPLES], text=True, capture_output=True, env=environment, cwd=ROOT, check=False
    )
    assert run.returncode == 0, run.stderr
    *answers, shape = map(ast.literal_eval, run.stdout.splitlines())
    for answer in answers:
        assert len(answer) == 5 and all(p["label"] in hub.kinetics400_labels() for p in answer)
        assert [p["score"] for p in answer] == sorted((p["score"] for p in answer), reverse=True)
    assert len(answers) == 2 and shape == [1, 61, 35]
    assert len(server.seen(r"storage GET .*safetensors")) == len(server.seen(r"storage GET .*mp4")) == 1


@pytest.mark.full
def test_a_sweep_asks_once_and_says_which_commit_it_measured(
    published: tuple[dict[str, bytes], bytes], server: HubServer, tmp_path: Path
) -> None:
    repository = server.models["tiny/to-measure"] = Repository(published[0])
    run = subprocess.run(
        [sys.executable, "-m", "vivit", "bench", "--model", "tiny/to-measure", "--budget", "full", "--json"],
        text=True,
        capture_output=True,
        env=clean(HF_HOME=str(tmp_path), HF_ENDPOINT=server.address()),
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert [(row["status"], row["agreement"]["top1"]) for row in rows] == [("ok", True)] * 2
    assert {row["model"] for row in rows} == {f"tiny/to-measure@{repository.references['main']}"}
    assert len(server.seen(r"/api/models/tiny/to-measure\?")) == 1


# Conversion


def convert(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vivit", "convert", *arguments],
        text=True,
        capture_output=True,
        env=clean(**environment),
        cwd=ROOT,
        check=False,
    )


@pytest.mark.parametrize("how", some(["in the name", "as an option"], "in the name"))
def test_a_revision_is_converted(
    how: str, published: tuple[dict[str, bytes], bytes], server: HubServer, tmp_path: Path
) -> None:
    repository = server.models["tiny/with-revisions"] = Repository(published[0])
    old = repository.references["main"]
    repository.commit(published[0] | {"config.json": b"{}"})
    name = ["tiny/with-revisions", "--revision", old] if how == "as an option" else [f"tiny/with-revisions@{old}"]
    run = convert(*name, str(tmp_path / "out"), HF_HOME=str(tmp_path / "home"), HF_ENDPOINT=server.address())
    assert run.returncode == 0 and run.stderr == "", run.stderr
    assert f"from safetensors of 'tiny/with-revisions' {old}" in run.stdout
    assert (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.parametrize("source", some(["hub", "bin"], "hub"))
def test_a_converted_checkpoint_loads_in_transformers(
    source: str, published: tuple[dict[str, bytes], bytes], server: HubServer, tmp_path: Path
) -> None:
    import torch
    import transformers

    from tests import oracle

    checkpoint, _ = published
    original = oracle.reference(num_labels=400)
    folder = tmp_path / "source"
    folder.mkdir()
    if source == "bin":
        for file, content in checkpoint.items():
            if not file.endswith(".safetensors"):
                (folder / file).write_bytes(content)
        torch.save({n: p.detach() for n, p in original.named_parameters()}, folder / "pytorch_model.bin")
    server.models["tiny/to-convert"] = Repository(checkpoint)
    out = tmp_path / "out"
    name = "tiny/to-convert" if source == "hub" else str(folder)
    run = convert(name, str(out), HF_HOME=str(tmp_path / "home"), HF_ENDPOINT=server.address())
    assert run.returncode == 0, run.stderr
    assert ("weights_only=True" in run.stderr) == (source == "bin")
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    model = transformers.VivitForVideoClassification.from_pretrained(out, attn_implementation="eager")
    pixel_values = oracle.clip(model.config)
    with torch.no_grad():
        assert torch.equal(model(pixel_values).logits, original(pixel_values).logits)
    assert model.config.id2label == dict(enumerate(hub.kinetics400_labels()))
    assert model.config.architectures == ["VivitForVideoClassification"]
    theirs = transformers.VivitImageProcessor.from_pretrained(out)
    assert theirs.crop_size["height"] == original.config.image_size[0] and theirs.size["shortest_edge"] == 28
    again = convert(name, str(out), HF_HOME=str(tmp_path / "home"), HF_ENDPOINT=server.address())
    assert again.returncode == 2 and "not empty" in again.stderr and "Traceback" not in again.stderr


def test_what_cannot_be_converted(tmp_path: Path) -> None:
    run = convert(str(tmp_path / "absent"), str(tmp_path / "out"), HF_HUB_OFFLINE="1")
    assert run.returncode == 2 and run.stderr.startswith("vivit: There is no folder") and run.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
