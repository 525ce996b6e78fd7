"""Who is timed by `benchmarks.rivals`, as plain data: whose graph, in which runtime, in which precision. No torch is used."""

from dataclasses import dataclass, replace
from importlib.util import find_spec

from vivit.names import PRECISIONS

PACKAGES: dict[str, tuple[str, ...]] = {  # runtime → distributions, called as their modules are; the first names it
    "PyTorch": ("torch",),
    "ONNX Runtime": ("onnxruntime", "onnx", "onnxscript"),
    "OpenVINO": ("openvino",),
}
INT8 = {"OpenVINO": ("nncf",)}  # runtime → distributions that make its int8 model, beside `PACKAGES`
TRANSFORMERS, OURS = "transformers", "ours"


@dataclass(frozen=True)
class Contestant:
    """One row.

    Args:
        graph: whose model, `TRANSFORMERS` or `OURS`.
        runtime: a key of `PACKAGES`.
        precision: a key of `vivit.names.PRECISIONS`; or 'int8', as the runtime's own tool makes it; None: the run's.
        attention: of the model in PyTorch.
        execution: a key of `vivit.names.EXECUTIONS`; transformers' model is compiled by `torch.compile`, and never captured.
        as_installed: whether its process is started without the settings of threads and allocator that all others have.
    """

    graph: str
    runtime: str = "PyTorch"
    precision: str | None = None
    attention: str = "sdpa"
    execution: str = "plain"
    as_installed: bool = False

    @property
    def title(self) -> str:
        """Whose model, and what runs it, in a few words."""
        words = [self.graph, self.attention if self.runtime == "PyTorch" else self.runtime]
        return ", ".join(words + [self.execution] * (self.execution != "plain") + ["as installed"] * self.as_installed)

    @property
    def artifact(self) -> str:
        """The name of its exported model's file, without a suffix; '' if it runs in PyTorch."""
        if self.runtime == "PyTorch":
            return ""
        kept = "int8" if self.precision == "int8" else "float32"  # bfloat16 is made of the float32 file
        return f"{self.graph}-{self.runtime.replace(' ', '-')}-{kept}"

    def missing(self, device: str) -> str:
        """Why it cannot take part, '' if it can. Args: device: as PyTorch names it."""
        if device != "cpu" and (self.runtime != "PyTorch" or self.as_installed):
            return "it is timed on CPUs alone"
        lacking = [package for package in packages(self) if find_spec(package) is None]
        install = "pip install -r requirements-dev.txt -r benchmarks/requirements.txt"
        return f"{' and '.join(lacking)} not installed: {install}" if lacking else ""


def packages(contestant: Contestant) -> tuple[str, ...]:
    """The distributions that it needs, that of its runtime first."""
    quantiser = INT8.get(contestant.runtime, ()) if contestant.precision == "int8" else ()
    return (*PACKAGES[contestant.runtime], *quantiser, *(("transformers",) if contestant.graph == TRANSFORMERS else ()))


BASE, BASE_OPENVINO = "transformers", "openvino"  # what the others' times are divided by
_OPENVINO, _ONNX = Contestant(TRANSFORMERS, "OpenVINO", "float32"), Contestant(TRANSFORMERS, "ONNX Runtime", "float32")
CONTESTANTS: dict[str, Contestant] = {
    BASE: Contestant(TRANSFORMERS),
    "transformers-as-installed": Contestant(TRANSFORMERS, as_installed=True),
    "transformers-eager": Contestant(TRANSFORMERS, attention="eager"),
    "transformers-compiled": Contestant(TRANSFORMERS, execution="compiled"),
    "ours": Contestant(OURS),
    "ours-compiled": Contestant(OURS, execution="compiled"),
    "ours-captured": Contestant(OURS, execution="captured"),
    **{f"ours-{precision}": Contestant(OURS, precision=precision) for precision in PRECISIONS},
    "ours-tf32-flex": Contestant(OURS, precision="tf32", attention="flex_attention"),
    "onnxruntime": _ONNX,
    "onnxruntime-ours": replace(_ONNX, graph=OURS),
    "onnxruntime-int8": replace(_ONNX, precision="int8"),
    BASE_OPENVINO: _OPENVINO,
    "openvino-ours": replace(_OPENVINO, graph=OURS),
    "openvino-bfloat16": replace(_OPENVINO, precision="bfloat16"),  # its own choice where the processor has it
    "openvino-int8": replace(_OPENVINO, precision="int8"),
}
# Eager takes twice as long as sdpa, and every other precision of ours has a sweep of its own.
LEFT_OUT = ("transformers-eager", *(f"ours-{p}" for p in PRECISIONS if p not in ("int8-dynamic", "tf32")))
ON_GPU = ("ours-captured", "ours-tf32", "ours-tf32-flex")


def usual(device: str) -> list[str]:
    """The names of those that are timed where none are named. Args: device: as PyTorch names it."""
    on_gpu = device != "cpu"
    elsewhere = ("ours-int8-dynamic",) if on_gpu else ON_GPU
    return [
        name
        for name, contestant in CONTESTANTS.items()
        if name not in (*LEFT_OUT, *elsewhere)
        and not (on_gpu and (contestant.runtime != "PyTorch" or contestant.as_installed))
    ]
