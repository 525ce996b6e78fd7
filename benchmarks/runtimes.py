"""How each runtime makes its model's file, and a pass of it. Only PyTorch's contestants import torch where they are timed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants import OURS, Contestant

# The files that every contestant shares.
WEIGHTS, CLIPS, CALIBRATION, REFERENCE = "weights", "clips.npy", "calibration.npy", "reference.npy"

Pass = Callable[[], np.ndarray]  # one forward: logits on the host, (B, num_labels)


@dataclass(frozen=True)
class Job:
    """What one process is to do.

    Args:
        contestant: whom it runs, its precision settled.
        folder: of weights, clips and exported models.
        device: as PyTorch names it.
        batch_size: clips a pass.
        threads: of whatever computes on the CPU.
    """

    contestant: Contestant
    folder: str
    device: str
    batch_size: int
    threads: int

    @property
    def precision(self) -> str:
        assert self.contestant.precision
        return self.contestant.precision


@dataclass(frozen=True)
class Loaded:
    """A model that is ready. Args: enter: (B, T, C, H, W) float32 → a pass of it; weights: bytes of them."""

    enter: Callable[[np.ndarray], Pass]
    weights: int


def prepare(job: Job) -> None:
    """Write the model's file, if the runtime has files, and the float32 file that int8 is made of."""
    contestant, folder = job.contestant, Path(job.folder)
    if not contestant.artifact:
        return
    from benchmarks import graphs

    suffix, write, quantise = {
        "ONNX Runtime": (".onnx", graphs.write_onnx, _quantise_onnx),
        "OpenVINO": (".xml", graphs.write_openvino, _quantise_openvino),
    }[contestant.runtime]
    plain = replace(contestant, precision="float32")
    source, target = (folder / f"{c.artifact}{suffix}" for c in (plain, contestant))
    if not source.exists():
        write(plain, folder, source, job.batch_size)
    if not target.exists():
        quantise(source, target, folder, job.batch_size)


def _quantise_onnx(source: Path, target: Path, folder: Path, batch_size: int) -> None:
    """Weights of products in int8, one scale a channel; activations as they come, with no calibration."""
    from onnxruntime.quantization import quantize_dynamic

    # Its quantised attention is not the operator that PyTorch's exporter writes, and such a file cannot be loaded.
    quantize_dynamic(source, target, per_channel=True, op_types_to_quantize=["MatMul", "Gemm"])


def _quantise_openvino(source: Path, target: Path, folder: Path, batch_size: int) -> None:
    """Weights and activations in int8, calibrated by clips that are not compared."""
    import nncf
    import openvino

    clips = [clip[None].repeat(batch_size, axis=0) for clip in np.load(folder / CALIBRATION)]
    model = openvino.Core().read_model(source)
    model = nncf.quantize(model, nncf.Dataset(clips), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(clips))
    openvino.save_model(model, target, compress_to_fp16=False)


def _load_pytorch(job: Job) -> Loaded:
    import torch

    from benchmarks.graphs import Logits, open_model
    from vivit.precision import kept_bytes

    torch.set_num_threads(job.threads)
    model: Any = open_model(job.contestant, Path(job.folder), job.precision, job.device)
    dtype = next(parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    network: Any = Logits(model)
    if job.contestant.execution != "plain" and job.contestant.graph == OURS:
        model.set_execution(job.contestant.execution)
    elif job.contestant.execution == "compiled":
        torch._inductor.config.compile_threads = 1  # helpers would outlive this process
        network = torch.compile(network)

    def enter(pixel_values: np.ndarray) -> Pass:
        clip = torch.from_numpy(pixel_values).to(job.device, dtype)

        @torch.inference_mode()
        def once() -> np.ndarray:
            logits: torch.Tensor = network(clip)
            return logits.float().cpu().numpy()  # which waits for a GPU

        return once

    return Loaded(enter, sum(kept_bytes(model).values()))


def _load_onnxruntime(job: Job) -> Loaded:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    file = Path(job.folder) / f"{job.contestant.artifact}.onnx"
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return Loaded(
        lambda clip: lambda: session.run(["logits"], {"pixel_values": clip})[0],
        sum(f.stat().st_size for f in (file, file.with_name(f"{file.name}.data")) if f.exists()),
    )


def _load_openvino(job: Job) -> Loaded:
    import openvino

    file = Path(job.folder) / f"{job.contestant.artifact}.xml"
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": job.threads,
        # By itself it computes in bfloat16 wherever the processor can, whatever the model is in.
        "INFERENCE_PRECISION_HINT": "bf16" if job.precision == "bfloat16" else "f32",
    }
    request = openvino.Core().compile_model(file, "CPU", settings).create_infer_request()
    return Loaded(
        lambda clip: lambda: np.array(request.infer([clip], share_inputs=True, share_outputs=True)[0]),
        file.with_suffix(".bin").stat().st_size,
    )


LOAD: dict[str, Callable[[Job], Loaded]] = {
    "PyTorch": _load_pytorch,
    "ONNX Runtime": _load_onnxruntime,
    "OpenVINO": _load_openvino,
}
