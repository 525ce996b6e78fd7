"""How a model's passes run: layer by layer, compiled, or as a CUDA graph; what to say of each is in `vivit.names.EXECUTIONS`.

Letters: B clips, E hidden size.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vivit.compiling import missing_compiler
from vivit.errors import UserError, out_of_memory
from vivit.names import EXECUTIONS

MOST_KERNELS = 64  # sizes, dtypes and backends that one process may compile for; PyTorch's limit is 8
MOST_GRAPHS = 8  # sizes of clips whose graphs are kept, since each keeps the memory of a pass
Function = Callable[[Any, Tensor, bool], Tensor]  # (model, pixel_values, interpolate_pos_encoding) → (B, E)


class ExecutionUnavailable(UserError):
    """A way of running a model that there is not on this machine, or not for this call."""


def get_execution(name: str) -> str:
    """The name itself. Raises ValueError if it is not in `vivit.names.EXECUTIONS`."""
    if name not in EXECUTIONS:
        raise ValueError(f"execution={name!r} is unknown; known are {', '.join(EXECUTIONS)}")
    return name


def why_not(name: str, device: str) -> str:
    """Why models cannot be run so on a device; '' if they can. Args: device: its type."""
    if name == "captured" and device != "cuda":
        return f"'captured' is a CUDA graph, and there is none on '{device}'. Choose 'compiled' or 'plain'."
    if name == "compiled" and (compiler := missing_compiler(device)):
        return (
            f"'compiled' wants the compiler '{compiler}', which is not on this machine. Install it, name another in "
            f"{'CXX' if device == 'cpu' else 'CC'}, or choose 'plain'."
        )
    return ""


class Execution:
    """A function of a model and its input, run in one way, with all that is made once for it.

    Copies and pickles begin anew: a graph is of one process and of one model's weights.

    Args:
        name: a key of `vivit.names.EXECUTIONS` other than 'plain'.
        function: of a module; the same every time, for one model in one state.
    """

    def __init__(self, name: str, function: Function) -> None:
        self.name = get_execution(name)
        self.function = function
        self._compiled: Callable[..., Tensor] | None = None
        self._graphs: dict[tuple[Any, ...], _Graph] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.function)

    def __call__(self, model: Any, pixel_values: Tensor, interpolate_pos_encoding: bool) -> Tensor:
        """What the function returns.

        Raises:
            ExecutionUnavailable: if it cannot be run so here, or with gradients as a graph.
        """
        if reason := why_not(self.name, pixel_values.device.type):
            raise ExecutionUnavailable(reason)
        run = self._compile if self.name == "compiled" else self._replay
        return run(model, pixel_values, interpolate_pos_encoding)

    def _compile(self, *arguments: Any) -> Tensor:
        # A second to import, which those who never come here save.
        from torch._dynamo import config
        from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

        if self._compiled is None:
            options: Any = {"compile_threads": 1}  # helpers of a killed process would outlive it
            self._compiled = torch.compile(self.function, fullgraph=True, options=options)
        try:
            with config.patch(recompile_limit=MOST_KERNELS):
                return self._compiled(*arguments)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            raise self._refused(error) from error

    def _replay(self, model: Any, pixel_values: Tensor, interpolate_pos_encoding: bool) -> Tensor:
        if torch.is_grad_enabled():
            raise ExecutionUnavailable(
                "'captured' has no gradients: call the model under torch.no_grad(), or choose 'plain' or 'compiled'."
            )
        key = (pixel_values.shape, pixel_values.dtype, pixel_values.device, interpolate_pos_encoding, model.training)
        graph = self._graphs.pop(key, None)
        if graph is None:
            while len(self._graphs) >= MOST_GRAPHS:
                del self._graphs[next(iter(self._graphs))]
            try:
                graph = _Graph(lambda clip: self.function(model, clip, interpolate_pos_encoding), pixel_values)
            except RuntimeError as error:  # a step that waits for the GPU cannot be recorded
                raise self._refused(error) from error
        self._graphs[key] = graph  # used last, given up last
        return graph(pixel_values)

    def _refused(self, error: Exception) -> Exception:
        if out_of_memory(error) or isinstance(error, UserError):
            return error
        said = str(error).partition("\n")[0]
        return ExecutionUnavailable(
            f"PyTorch {torch.__version__} cannot run this attention and precision '{self.name}'. Choose 'plain'.", said
        )


class _Graph:
    """A CUDA graph of a function of one tensor, and the memory that it reads and writes."""

    @torch.inference_mode(False)  # whose tensors nobody could write to outside
    @torch.no_grad()
    def __init__(self, function: Callable[[Tensor], Tensor], sample: Tensor) -> None:
        with torch.cuda.device(sample.device):
            self._input = torch.empty_like(sample, memory_format=torch.contiguous_format).copy_(sample)
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(
                aside
            ):  # libraries make what they need by their first call, which may not be recorded
                for _ in range(2):
                    function(self._input)
            torch.cuda.current_stream().wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._output = function(self._input)

    @torch.no_grad()
    def __call__(self, value: Tensor) -> Tensor:
        self._input.copy_(value)
        self._graph.replay()
        return self._output.clone()
