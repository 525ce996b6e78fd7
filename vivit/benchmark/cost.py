"""What a call costs, from the shape of the model and a few rates of the machine, before it is run. No torch is used."""

import math
from dataclasses import replace

from vivit.benchmark.layers import encoder_layers
from vivit.benchmark.measurement import Cell, Estimate
from vivit.benchmark.memory import activations_bytes, compute_bytes, weights_bytes
from vivit.config import VivitConfig
from vivit.machine import Machine
from vivit.names import BACKENDS

# What the first call of a backend that is compiled takes beside its arithmetic: FlexAttention 9.9 to 10.4 s on 2 cores of an
# AMD EPYC with AVX-512 (torch 2.13), 2.4 to 2.8 s where Inductor's cache on disk has its kernel, which nobody knows before.
COMPILE_SECONDS = 10.0
# What the first call of a model that is not run 'plain' takes beside its arithmetic, until this machine has shown it: of
# ViViT-B on one H200 (torch 2.11) 14 to 17 s for a process's first, 9 to 12 s for further sizes; a graph 0.04 to 0.34 s.
FIRST_SECONDS = {"plain": 0.0, "compiled": 17.0, "captured": 0.4}
BACKWARD = 3  # a training step's arithmetic and score traffic are about three times those of the forward pass


def linear_flops(config: VivitConfig, precision: str = "float32") -> int:
    """Floating-point operations of one clip's matrix products with weights, multiply and add counted separately."""
    hidden = config.hidden_size
    half, mlp = 2 * hidden * hidden, 2 * hidden * config.intermediate_size  # keys and values; queries and output
    products = math.prod(config.clip_size) * config.num_channels * hidden + hidden * (config.num_labels or 0)
    for layers in encoder_layers(config, precision):
        attention = len(layers.steps) * (layers.tokens + layers.computed) * half
        products += layers.count * (attention + layers.computed * mlp)
    return 2 * products


def attention_flops(config: VivitConfig, precision: str = "float32") -> int:
    """Floating-point operations of one clip's attention: scores and their product with the values."""
    return 4 * config.head_size * scores(config, precision)


def scores(config: VivitConfig, precision: str = "float32") -> int:
    """How often one clip's attentions compare a token with another, in all heads of all layers."""
    return sum(layers.count * layers.scores for layers in encoder_layers(config, precision))


def score_traffic_bytes(config: VivitConfig, attention: str, precision: str, device: str = "cpu") -> int:
    """Bytes that one clip's forward pass moves for scores kept in memory; 0 for a backend that keeps none.

    Eager writes the products, scales them, takes the softmax in float32, converts it, and reads it for the product with
    the values. PyTorch's math kernel scales the queries instead and works in float32.
    """
    if not BACKENDS[attention].keeps_scores:
        return 0
    number = scores(config, precision)
    if attention == "sdpa-math":
        return number * 4 * 4
    size = compute_bytes(precision, device)
    convert = 0 if size == 4 else 4 + size
    return number * (size + 2 * size + size + 4 + convert + size)


def estimate(cell: Cell, config: VivitConfig, machine: Machine) -> Estimate:
    """What a cell will take.

    Time is the arithmetic of the products with weights over the machine's rate of such products, and of attention over
    the rate that its kernel reached on a few tokens. Where scores are written to memory, their traffic over its bandwidth
    comes on top on a CPU; on a GPU attention takes at least that and its arithmetic's time at the rate of products with
    weights. A backend that is compiled has no rate before it has been, and takes that of 'sdpa'; compiling is not among a
    call's time.

    Args:
        cell: what would be measured.
        config: the shape of its checkpoint, as stored.
        machine: what is known of it.
    """
    weights = weights_bytes(config, cell.precision, machine.device)
    config = config if cell.num_frames is None else with_frames(config, cell.num_frames)
    flops = cell.batch_size * (linear_flops(config, cell.precision) + attention_flops(config, cell.precision))
    times = BACKWARD if cell.mode == "training" else 1
    seconds = _seconds(config, machine, cell.attention, cell.precision, cell.mode)
    if seconds is not None:
        seconds *= cell.batch_size * times
        if cell.mode == "training":  # AdamW reads weight, gradient and two moments, and writes all but the gradient
            seconds += 7 * weights / machine.bytes_per_second
    return Estimate(
        num_tokens=config.num_tokens,
        flops=flops * times,
        latency_ms=None if seconds is None else seconds * 1e3,
        weights=weights,
        activations=activations_bytes(config, cell, machine.device, machine.threads),
        factorization=config.factorization,
        scores=scores(config, cell.precision),
    )


def with_frames(config: VivitConfig, num_frames: int) -> VivitConfig:
    """The shape of the same model on clips of another length. Raises ValueError if no tubelet fits."""
    return replace(config, num_frames=num_frames)


def _seconds(
    config: VivitConfig, machine: Machine, attention: str, precision: str, mode: str = "inference"
) -> float | None:
    found = machine.find(attention, precision)
    if found and not found.reason and BACKENDS[attention].compiled and not found.flops_per_second:
        found = machine.find("sdpa", precision)  # the nearest that has been tried
    if found is None or not found.flops_per_second:
        return None
    training = machine.training_flops_per_second if mode == "training" else {}
    products = (training or machine.flops_per_second).get(precision)
    if not products:  # it does not run, or cannot be trained in
        return None
    arithmetic = attention_flops(config, precision)
    seconds = arithmetic / found.flops_per_second
    traffic = score_traffic_bytes(config, attention, precision, machine.device) / machine.bytes_per_second
    if not machine.on_gpu:  # a few tokens' scores lie in the cache for the most part, a model's do not
        seconds += traffic
    elif traffic:
        seconds = max(seconds, arithmetic / products + traffic)
    return linear_flops(config, precision) / products + seconds


def compile_seconds(attention: str, execution: str = "plain", measured: float | None = None) -> float:
    """What a first call takes beside its arithmetic, 0 where it compiles and captures nothing.

    Args:
        attention, execution: keys of `BACKENDS` and `EXECUTIONS`.
        measured: what it was here, see `vivit.benchmark.first_calls`.
    """
    if measured is not None:
        return measured
    return max(COMPILE_SECONDS * BACKENDS[attention].compiled, FIRST_SECONDS[execution])


def estimate_seconds(
    config: VivitConfig,
    machine: Machine,
    attention: str,
    precision: str,
    execution: str = "plain",
    *,
    batch_size: int = 1,
    first: bool = True,
    measured: float | None = None,
) -> float:
    """How long a forward pass will take, before it is run.

    Args:
        config: the model's shape.
        machine: what is known of it.
        attention, precision, execution: keys of `BACKENDS`, `PRECISIONS` and `EXECUTIONS` that run there.
        batch_size: clips, or views of one, in the pass.
        first: whether it may be the first, which is compiled where the backend or the model is.
        measured: as `compile_seconds`'.

    Returns:
        Seconds: FLOPs of each kind over the rate that kind reached there, and the traffic of scores kept in memory. Small
        models take longer, since the rates are those of full-sized products.

    Raises:
        ValueError: if the backend does not run in this precision there.
    """
    seconds = _seconds(config, machine, attention, precision)
    if seconds is None:
        raise ValueError(f"'{attention}' does not run in {precision} here")
    return seconds * batch_size + compile_seconds(attention, execution, measured) * first


def paying_precision(config: VivitConfig, machine: Machine) -> str:
    """The precision beside float32 that is worth a look on a machine, by its measured rates.

    Returns:
        'float16' on a GPU. On a CPU a true half precision if a pass is estimated to be faster in it, and else
        'float16-weights', the leanest of those that are as fast as float32.
    """
    if machine.on_gpu:
        return "float16"

    def seconds(precision: str) -> float:
        return _seconds(config, machine, "sdpa", precision) or math.inf

    fastest = min(("float16", "bfloat16"), key=seconds)
    return fastest if seconds(fastest) < seconds("float32") else "float16-weights"


def default_cells(config: VivitConfig, machine: Machine) -> list[tuple[str, str]]:
    """(attention, precision) of what is compared unless somebody wants something else; the first is what to compare with."""
    return [(a, p) for p in ("float32", paying_precision(config, machine)) for a in ("eager", "sdpa")]
