"""How a model's passes run: layer by layer, compiled, or as a CUDA graph; what to say of each is in `vivit.names.EXECUTIONS`.

Letters: B clips, E hidden size.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from vivit.compiling import missing_compiler
from vivit.errors import UserError, out_of_memory
from vivit.fused import has_triton
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
    """Why an execution cannot be had on a device; '' if it can. Args: name: of the execution; device: the device's type."""
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
        function: of a module; it does the same in every call for one model in one state.
    """

    def __init__(self, name: str, function: Function) -> None:
        self.name = get_execution(name)
        self.function = function
        self._compiled: Callable[..., Tensor] | None = None
        self._graphs: dict[tuple[Any, ...], _Graph] = {}
        self._one_at_a_time = Lock()  # a graph has one place for its input, and one for its output

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.function)

    def __call__(self, model: Any, pixel_values: Tensor, interpolate_pos_encoding: bool) -> Tensor:
        """What the function returns.

        Raises:
            ExecutionUnavailable: if the function cannot be run this way here, or is to be a graph and have gradients.
        """
        if reason := why_not(self.name, pixel_values.device.type):
            raise ExecutionUnavailable(reason)
        run = self._compile if self.name == "compiled" else self._replay
        return run(model, pixel_values, interpolate_pos_encoding)

    def _compile(self, *arguments: Any) -> Tensor:
        # These take a second to import, which those who never come here save.
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
        autocast = torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda")
        kind = (pixel_values.shape, pixel_values.dtype, pixel_values.device)
        key = (*kind, interpolate_pos_encoding, model.training, autocast)
        with self._one_at_a_time:
            return self._graph(key, model, pixel_values, interpolate_pos_encoding)(pixel_values)

    def _graph(
        self, key: tuple[Any, ...], model: Any, pixel_values: Tensor, interpolate_pos_encoding: bool
    ) -> "_Graph":
        graph = self._graphs.pop(key, None)
        if graph is None or graph.stale():
            while len(self._graphs) >= MOST_GRAPHS:
                del self._graphs[next(iter(self._graphs))]
            try:
                weights = [*model.parameters(), *model.buffers()]
                graph = _Graph(lambda clip: self.function(model, clip, interpolate_pos_encoding), pixel_values, weights)
            except RuntimeError as error:  # a step that waits for the GPU cannot be recorded
                raise self._refused(error) from error
        self._graphs[key] = graph  # used last, given up last
        return graph

    def _refused(self, error: Exception) -> Exception:
        if out_of_memory(error) or isinstance(error, UserError):
            return error
        said = str(error).partition("\n")[0]
        return ExecutionUnavailable(
            f"PyTorch {torch.__version__} cannot run this attention and precision '{self.name}'. Choose 'plain'.", said
        )


class _Graph:
    """A CUDA graph of a function of one tensor, and the memory that it reads and writes. Args: weights: what it reads too."""

    @torch.inference_mode(False)  # nobody outside could write to a tensor of inference mode
    @torch.no_grad()
    def __init__(self, function: Callable[[Tensor], Tensor], sample: Tensor, weights: list[Tensor]) -> None:
        self._weights = weights
        self._places = [weight.data_ptr() for weight in weights]
        self._done = torch.cuda.Event()
        has_triton(sample.device)  # asked before: it is found out by running a kernel, which no graph may hold
        with torch.cuda.device(sample.device):
            self._input = torch.empty_like(sample, memory_format=torch.contiguous_format).copy_(sample)
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(2):  # libraries make what they need by their first call, which may not be recorded
                    function(self._input)
            torch.cuda.current_stream().wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._output = function(self._input)

    @torch.no_grad()
    def __call__(self, value: Tensor) -> Tensor:
        here = torch.cuda.current_stream(value.device)
        here.wait_event(self._done)  # the call before this one may be another stream's
        self._input.copy_(value)
        self._graph.replay()
        found = self._output.clone()
        self._done.record(here)
        return found

    def stale(self) -> bool:
        """Whether a weight lies elsewhere than it did, as after `to` or a new `data`."""
        return [weight.data_ptr() for weight in self._weights] != self._places
