"""The two models that are compared, with the same weights, and their export to other runtimes."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import transformers
from torch import Tensor, nn

from benchmarks.contestants import BASE, CONTESTANTS, OURS, Contestant
from benchmarks.runtimes import CALIBRATION, CLIPS, REFERENCE, WEIGHTS
from benchmarks.theirs import random_model
from vivit.benchmark.command import read_clip
from vivit.checkpoint import Checkpoint, open_checkpoint
from vivit.hub import ASSETS
from vivit.model import VivitForVideoClassification

# Where attention is one operator: a clip took ONNX Runtime 3.4 s on 2 cores of an AMD EPYC, and 4.4 s with the usual 20.
OPSET = 23
# Clips: of one, NNCF's int8 of the bundled model is off by 3.3 σ of its logits, of 4 by 1.3, of 16 by 0.9.
CALIBRATING = 8


class Logits(nn.Module):
    """A model that returns its logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        logits: Tensor = self.model(pixel_values).logits
        return logits


@torch.inference_mode()
def write_common(folder: Path, model: str, clips: int) -> None:
    """Write what all contestants share: weights, clips, other clips to calibrate with, and the answers to compare with.

    Args:
        folder: where to.
        model: as `vivit.checkpoint.open_checkpoint` takes it; `RANDOM` stands for transformers' own random weights.
        clips: how many of the bundled ones, of which the first is timed.

    Raises:
        ValueError: if there are not as many beside those to calibrate with.
    """
    checkpoint = open_checkpoint(model)
    if checkpoint.folder is None:
        torch.manual_seed(0)
        random_model(num_labels=checkpoint.config.num_labels).save_pretrained(folder / WEIGHTS)
    else:
        (folder / WEIGHTS).symlink_to(checkpoint.folder.resolve())
    files = sorted((ASSETS / "clips").glob("*.mp4"))
    if not 0 < clips <= len(files) - CALIBRATING:
        raise ValueError(f"--clips wants a number from 1 to {len(files) - CALIBRATING}, not {clips}")
    compared, calibrating = (
        np.stack([read(file, checkpoint) for file in chosen]) for chosen in (files[:clips], files[-CALIBRATING:])
    )
    np.save(folder / CLIPS, compared)
    np.save(folder / CALIBRATION, calibrating)
    reference = Logits(open_model(CONTESTANTS[BASE], folder, "float32"))
    np.save(folder / REFERENCE, np.concatenate([reference(torch.from_numpy(clip[None])) for clip in compared]))


def read(file: Path, checkpoint: Checkpoint) -> np.ndarray:
    """A clip as the model gets it, (T, C, H, W) float32; where PyAV is not installed, random numbers that its name seeds."""
    if find_spec("av"):
        return read_clip(str(file), checkpoint)
    frames, height, width = checkpoint.config.clip_size
    shape = (frames, checkpoint.config.num_channels, height, width)
    return np.random.default_rng([*file.name.encode()]).uniform(-3, 1, shape).astype(np.float32)


def open_model(contestant: Contestant, folder: Path, precision: str, device: str = "cpu") -> nn.Module:
    """Whichever of the two models it is, in evaluation mode. Args: folder: what `write_common` wrote to."""
    weights, attention = folder / WEIGHTS, contestant.attention
    if contestant.graph == OURS:
        checkpoint = open_checkpoint(weights)
        kind = VivitForVideoClassification
        return checkpoint.load(kind, attn_implementation=attention, dtype=precision, device=device)
    dtype = getattr(torch, precision)
    theirs: nn.Module = transformers.VivitForVideoClassification.from_pretrained(
        weights, attn_implementation=attention, dtype=dtype
    )
    return theirs.eval().to(device)


def exported(contestant: Contestant, folder: Path, batch_size: int) -> tuple[nn.Module, Tensor]:
    """A float32 model to export, and an input of the size that it is exported for."""
    clips = torch.from_numpy(np.load(folder / CALIBRATION)[:1].repeat(batch_size, axis=0))
    return Logits(open_model(contestant, folder, "float32")).eval(), clips


@torch.no_grad()
def write_onnx(contestant: Contestant, folder: Path, file: Path, batch_size: int) -> None:
    """Export a model for so many clips by PyTorch's own exporter."""
    model, clips = exported(contestant, folder, batch_size)
    torch.onnx.export(
        model,
        (clips,),
        str(file),
        dynamo=True,
        opset_version=OPSET,
        input_names=["pixel_values"],
        output_names=["logits"],
    )


@torch.no_grad()
def write_openvino(contestant: Contestant, folder: Path, file: Path, batch_size: int) -> None:
    """Convert a PyTorch model for so many clips, as OpenVINO's users do.

    By way of `torch.export`: as fast a model as by tracing, and there in a tenth of the time.
    """
    import openvino

    model, clips = exported(contestant, folder, batch_size)
    converted = openvino.convert_model(torch.export.export(model, (clips,)))
    openvino.save_model(converted, file, compress_to_fp16=False)  # or the weights are float16
