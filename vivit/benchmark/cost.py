"""What a call costs, from the shape of the model and a few rates of the machine, before it is run. No torch is used.

Letters: B clips, N tokens, E hidden size, I intermediate size, A heads.
"""

import math
from dataclasses import replace

from vivit.benchmark.measurement import Cell, Estimate
from vivit.config import TANH_GELUS, VivitConfig
from vivit.machine import Machine
from vivit.names import BACKENDS, BYTES, DYNAMIC_INT8, EIGHT_BIT, PRECISIONS, ROWS_AT_A_TIME, compute_dtype

# What the first call of a backend that is compiled takes beside its arithmetic: FlexAttention 9.9 to 10.4 s on 2 cores of an
# AMD EPYC with AVX-512 (torch 2.13), 2.4 to 2.8 s where Inductor's cache on disk has its kernel, which nobody knows before.
COMPILE_SECONDS = 10.0
# What the first call of a model that is not run 'plain' takes beside its arithmetic, until this machine has shown it: of
# ViViT-B on one H200 (torch 2.11) 14 to 17 s for a process's first, 9 to 12 s for further sizes; a graph 0.04 to 0.34 s.
FIRST_SECONDS = {"plain": 0.0, "compiled": 17.0, "captured": 0.4}
BACKWARD = 3  # a training step's arithmetic and score traffic are about three times those of the forward pass


def _layers(config: VivitConfig, precision: str) -> tuple[int, int]:
    """How many layers a classification computes of all tokens, and how many of [CLS] alone."""
    alone = int(config.num_hidden_layers > 0 and precision != EIGHT_BIT)  # which rounds a token by what all others hold
    return config.num_hidden_layers - alone, alone


def linear_flops(config: VivitConfig, precision: str = "float32") -> int:
    """Floating-point operations of one clip's matrix products with weights, multiply and add counted separately."""
    hidden, tokens = config.hidden_size, config.num_tokens
    time, height, width = config.tubelet_size
    tubelets = (tokens - 1) * config.num_channels * time * height * width * hidden
    half, mlp = 2 * hidden * hidden, 2 * hidden * config.intermediate_size  # keys and values; query and output
    whole, alone = _layers(config, precision)
    layers = whole * tokens * (half + half + mlp) + alone * (tokens * half + half + mlp)
    return 2 * (tubelets + layers + hidden * (config.num_labels or 0))


def attention_flops(config: VivitConfig, precision: str = "float32") -> int:
    """Floating-point operations of one clip's attention: scores and their product with the values."""
    whole, alone = _layers(config, precision)
    return 4 * (whole * config.num_tokens + alone) * config.num_tokens * config.hidden_size


def parameters(config: VivitConfig) -> tuple[int, int]:
    """How many numbers the weights hold: in matrices, and in everything else."""
    hidden, middle = config.hidden_size, config.intermediate_size
    time, height, width = config.tubelet_size
    labels = config.num_labels or 0
    qkv_bias = 3 * hidden * config.qkv_bias
    matrices = config.num_channels * time * height * width * hidden + labels * hidden
    matrices += config.num_hidden_layers * (4 * hidden * hidden + 2 * hidden * middle)
    rest = (
        hidden + hidden + config.num_tokens * hidden + 2 * hidden + labels
    )  # tubelets' bias, [CLS], positions, norm, head
    rest += config.num_hidden_layers * (4 * hidden + qkv_bias + hidden + middle + hidden)
    return matrices, rest


def compute_bytes(precision: str, device: str) -> int:
    """Of one number that is computed with. Args: device: 'cpu' or 'cuda'."""
    return BYTES[compute_dtype(precision, device)]


def score_traffic_bytes(config: VivitConfig, attention: str, precision: str, device: str = "cpu") -> int:
    """Bytes that one clip's forward pass moves for scores kept in memory; 0 for a backend that keeps none.

    Eager writes the products, scales them, takes the softmax in float32, converts it, and reads it for the product with
    the values. PyTorch's math kernel scales the queries instead and works in float32.
    """
    if not BACKENDS[attention].keeps_scores:
        return 0
    whole, alone = _layers(config, precision)
    scores = config.num_attention_heads * (whole * config.num_tokens + alone) * config.num_tokens
    if attention == "sdpa-math":
        return scores * 4 * 4
    size = compute_bytes(precision, device)
    convert = 0 if size == 4 else 4 + size
    return scores * (size + 2 * size + size + 4 + convert + size)


def weights_bytes(config: VivitConfig, precision: str, device: str = "cpu") -> int:
    """What the parameters of a classifier take, and the scales of those in 8 bit. Args: device: 'cpu' or 'cuda'."""
    matrices, rest = parameters(config)
    kept, size = BYTES[PRECISIONS[precision].weights], compute_bytes(precision, device)
    if PRECISIONS[precision].weights != "int8":
        return matrices * kept + rest * size
    hidden, middle, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    encoder = layers * (4 * hidden * hidden + 2 * hidden * middle)
    scales = layers * (3 * hidden + hidden + middle + hidden)  # one a row, float32
    return encoder * kept + scales * 4 + (matrices - encoder + rest) * size


def _dynamic_int8_bytes(rows: int, width: int, made: int, threads: int) -> int:
    """The most that a layer in 'int8-dynamic' holds, (rows, width) → (rows, made), its input and its result among it."""
    block = min(rows, ROWS_AT_A_TIME * threads)
    # Rounded tokens beside the same in float32, then beside the int32 product and that in float32.
    held = block * max(width + 4 * width, width + (4 + 4) * made)
    return 4 * rows * (width + made * (block < rows)) + held


def activations_bytes(config: VivitConfig, cell: Cell, device: str = "cpu", threads: int = 1) -> int:
    """The most memory held beyond the weights, by counting the tensors alive at the fullest moment of a call.

    Args:
        config: the model's shape, with the cell's number of frames.
        cell: its attention, precision, batch size and mode.
        device: 'cpu' or 'cuda'.
        threads: of PyTorch.
    """
    size, batch = compute_bytes(cell.precision, device), cell.batch_size
    frames, height, width = config.clip_size
    pixels = size * batch * frames * height * width * config.num_channels
    row = size * batch * config.num_tokens  # bytes of one number a token
    hidden, middle = row * config.hidden_size, row * config.intermediate_size
    scores = batch * config.num_attention_heads * config.num_tokens**2
    largest = max(4 * config.hidden_size**2, 2 * config.hidden_size * config.intermediate_size) // 2
    cast = largest * 4 if cell.precision == "float16-weights" else 0  # one matrix at a time

    if cell.attention == "eager":  # products and their scaled copy, or scaled, float32 softmax and its copy
        held = scores * (2 * size if size == 4 else 2 * size + 4)
    elif cell.attention == "sdpa-math":
        held = scores * 2 * 4
    else:
        held = 0
    attention = 7 * hidden + held + (8 * hidden if cell.attention == "sdpa-math" and size < 4 else 0)  # float32 copies
    fused = device == "cuda" and size == 2 and cell.precision != "float16-weights" and config.hidden_act in TANH_GELUS
    mlp = hidden + (1 if fused and cell.mode == "inference" else 2) * middle
    eight_bit = 0
    if cell.precision == EIGHT_BIT:
        # The int32 product beside its results; on a CPU beside it in float32, its rows' and columns' scales, and theirs too.
        copies = 3 * 4 + size if device == "cpu" else 4 + size
        products = max(hidden + copies * 3 * hidden // size, 3 * hidden + copies * middle // size)
        eight_bit = hidden // size + products  # tokens as int8
    if cell.precision == DYNAMIC_INT8:
        eight_bit = max(
            _dynamic_int8_bytes(batch * config.num_tokens, width, made, threads)
            for width, made in (
                (config.hidden_size, 3 * config.hidden_size),
                (config.hidden_size, config.intermediate_size),
                (config.intermediate_size, config.hidden_size),
            )
        )
    if cell.mode == "inference":
        embed = pixels + 2 * hidden
        return pixels + max(embed, hidden + max(attention, mlp + cast, eight_bit))
    saved_scores = scores * (4 if size == 4 or cell.attention == "sdpa-math" else 4 + size) if held else 0
    layer = 8 * hidden + 2 * middle + saved_scores
    weights = weights_bytes(config, cell.precision, device)
    whole, alone = _layers(config, cell.precision)
    last = alone * (4 * hidden + cast)  # what it is given, keys and values, and their LayerNorm
    forward = pixels + hidden + whole * (layer + cast) + last + 2 * middle
    # Two moments are held all the time; gradients take the place of activations, layer by layer.
    return pixels + 2 * weights + max(forward, weights)


def estimate(cell: Cell, config: VivitConfig, machine: Machine) -> Estimate:
    """What a cell will take.

    Time is the arithmetic of the products with weights over the machine's rate of such products, and of attention over
    the rate that its kernel reached on a few tokens. Where scores are written to memory, their traffic over its bandwidth
    comes on top on a CPU; on a GPU attention is at least that and its arithmetic over the former rate. A backend that is
    compiled has no rate before it has been, and takes that of 'sdpa'; compiling is not among a call's time.

    Args:
        cell: what would be measured.
        config: the shape of its checkpoint, as stored.
        machine: what is known of it.
    """
    config = config if cell.num_frames is None else with_frames(config, cell.num_frames)
    flops = cell.batch_size * (linear_flops(config, cell.precision) + attention_flops(config, cell.precision))
    times = BACKWARD if cell.mode == "training" else 1
    weights = weights_bytes(config, cell.precision, machine.device)
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
    first: bool = True,
    measured: float | None = None,
) -> float:
    """How long one clip's forward pass will take, before it is run.

    Args:
        config: the model's shape.
        machine: what is known of it.
        attention, precision, execution: keys of `BACKENDS`, `PRECISIONS` and `EXECUTIONS` that run there.
        first: whether it may be the first, which is compiled where the backend or the model is.
        measured: as `compile_seconds`'.
    Returns:
        Seconds: FLOPs of each kind over the rate that kind reached there, and the traffic of scores kept in memory. Small
        models take longer, since the rates are those of full-sized products.
    """
    seconds = _seconds(config, machine, attention, precision)
    if seconds is None:
        raise ValueError(f"'{attention}' does not run in {precision} here")
    return seconds + compile_seconds(attention, execution, measured) * first


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
