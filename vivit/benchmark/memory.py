"""The memory that a call takes, from the shape of the model, before it is run. No torch is used."""

import math
from collections.abc import Iterator
from itertools import chain

from vivit.benchmark.layers import Attention, Layers, encoder_layers
from vivit.benchmark.measurement import Cell
from vivit.config import TANH_GELUS, VivitConfig
from vivit.names import BACKENDS, BYTES, DYNAMIC_INT8, EIGHT_BIT, PRECISIONS, ROWS_AT_A_TIME, compute_dtype


def parameters(config: VivitConfig) -> tuple[int, int]:
    """How many numbers the weights hold: in matrices, and in everything else."""
    hidden, labels, cls = config.hidden_size, config.num_labels or 0, int(config.has_cls)
    matrices, rest = _in_layers(config)
    matrices += (config.num_channels * math.prod(config.tubelet_size) + labels) * hidden
    rest += hidden + labels  # the biases of tubelets and head
    for grid in config.position_grids:  # one for each encoder: [CLS], positions, and the LayerNorm after its layers
        rest += (cls + cls + math.prod(grid) + 2) * hidden
    return matrices, rest


def _in_layers(config: VivitConfig) -> tuple[int, int]:
    """The same of the layers alone."""
    hidden, middle = config.hidden_size, config.intermediate_size
    matrices = rest = 0
    for layers in encoder_layers(config):
        steps = len(layers.steps)
        matrices += layers.count * (steps * 4 * hidden * hidden + 2 * hidden * middle)
        rest += layers.count * (steps * (3 + 3 * config.qkv_bias) * hidden + 3 * hidden + middle)
    return matrices, rest


def compute_bytes(precision: str, device: str) -> int:
    """Bytes of one number that is computed with. Args: device: 'cpu' or 'cuda'."""
    return BYTES[compute_dtype(precision, device)]


def weights_bytes(config: VivitConfig, precision: str, device: str = "cpu") -> int:
    """What the parameters of a classifier take, and the scales of those in 8 bit. Args: device: 'cpu' or 'cuda'."""
    matrices, rest = parameters(config)
    kept, size = BYTES[PRECISIONS[precision].weights], compute_bytes(precision, device)
    if PRECISIONS[precision].weights != "int8":
        return matrices * kept + rest * size
    rounded, _ = _in_layers(config)
    hidden, middle = config.hidden_size, config.intermediate_size
    scales = sum(k.count * (len(k.steps) * 4 * hidden + middle + hidden) for k in encoder_layers(config))  # float32
    return rounded * kept + scales * 4 + (matrices - rounded + rest) * size


def activations_bytes(config: VivitConfig, cell: Cell, device: str = "cpu", threads: int = 1) -> int:
    """The most memory held beyond the weights, by counting the tensors alive at the fullest moment of a call.

    Args:
        config: the model's shape, with the cell's number of frames.
        cell: its attention, precision, batch size and mode.
        device: 'cpu' or 'cuda'.
        threads: of PyTorch.
    """
    size = cell.batch_size * compute_bytes(cell.precision, device)  # of one number of every clip
    pixels = size * math.prod(config.clip_size) * config.num_channels
    embedded = size * config.num_tokens * config.hidden_size
    kinds = encoder_layers(config, cell.precision)
    if cell.mode == "inference":
        layers = (_alive(config, cell, kind, device, threads) for kind in kinds)
        return pixels + max(pixels + 2 * embedded, *layers, 0)
    forward = pixels + embedded + sum(kind.count * _saved(config, cell, kind, device) for kind in kinds)
    backward = max((_on_the_way_back(config, cell, kind, device) for kind in kinds), default=0)
    weights = weights_bytes(config, cell.precision, device)
    # Two moments are held all the time; gradients take the place of activations, layer by layer.
    return pixels + 2 * weights + max(forward + backward, weights)


def _alive(config: VivitConfig, cell: Cell, layers: Layers, device: str, threads: int) -> int:
    """The most that one layer holds without gradients, what it is given included: in its attentions, or in its MLP."""
    moments = chain(
        _in_attentions(config, cell, layers, device, threads), _in_mlp(config, cell, layers, device, threads)
    )
    return max(moments)


def _in_attentions(config: VivitConfig, cell: Cell, layers: Layers, device: str, threads: int) -> Iterator[int]:
    """What is held at each moment of a layer's attentions that may be the fullest."""
    given, made, _ = _sizes(config, cell, layers, device)
    rows, hidden = cell.batch_size * layers.tokens, config.hidden_size
    for former, step in enumerate(layers.steps):
        entered = given + former * 2 * made  # what a former step changed, and the sum
        projected = entered + given + 2 * given + made  # its LayerNorm; keys and values, queries
        done = 0  # by this step's former attentions
        for attention in step:
            part = attention.heads / config.num_attention_heads
            of_its_own = round(3 * given * part) if attention.apart else 0
            yield projected + of_its_own + done + _attending(config, cell, attention, device)
            done += round(made * part)
        joined = made if len(step) > 1 or step[0].apart else 0
        yield projected + made + joined + made
        if cell.precision == EIGHT_BIT:
            yield entered + _eight_bit_bytes(cell, given, 3 * given, device)
        if cell.precision == DYNAMIC_INT8:
            yield entered + _dynamic_int8_bytes(rows, hidden, 3 * hidden, threads)


def _in_mlp(config: VivitConfig, cell: Cell, layers: Layers, device: str, threads: int) -> Iterator[int]:
    """What is held at each moment of a layer's MLP that may be the fullest."""
    given, made, wide = _sizes(config, cell, layers, device)
    cast = _cast(config, cell)
    half = compute_bytes(cell.precision, device) == 2
    fused = device == "cuda" and half and not cast and config.hidden_act in TANH_GELUS
    entered = given + 2 * made
    yield entered + made + max(wide + cast, wide + made if fused else 2 * wide)
    if cell.precision == EIGHT_BIT:
        yield entered + _eight_bit_bytes(cell, made, wide, device)
    if cell.precision == DYNAMIC_INT8:
        rows, hidden, middle = cell.batch_size * layers.computed, config.hidden_size, config.intermediate_size
        yield entered + _dynamic_int8_bytes(rows, hidden, middle, threads)
        yield entered + made + _dynamic_int8_bytes(rows, middle, hidden, threads)


def _attending(config: VivitConfig, cell: Cell, attention: Attention, device: str) -> int:
    """What an attention makes of queries, keys and values, at its fullest moment."""
    number, scores = compute_bytes(cell.precision, device), cell.batch_size * attention.scores
    width = cell.batch_size * number * attention.groups * attention.heads * config.head_size
    queries, keys = width * attention.queries, width * attention.tokens
    half = number < 4
    if cell.attention == "eager":
        # Copies and their products; or the scaled products, their softmax in float32, and in half precision also, on a CPU,
        # what the softmax is made of, in float32, and on a GPU what is made of it.
        converted = half * (4 if device == "cpu" else number)
        return max(queries + keys + scores * number, scores * (number + 4 + converted))
    if cell.attention == "sdpa-math":  # in float32; scaled queries, products, their softmax, and whether each is -inf
        return (half * (queries + 2 * keys) + queries) * 4 // number + scores * (4 + 4 + 1)
    return queries


def _saved(config: VivitConfig, cell: Cell, layers: Layers, device: str) -> int:
    """What one layer keeps for the way back."""
    given, made, wide = _sizes(config, cell, layers, device)
    keeps_scores = BACKENDS[cell.attention].keeps_scores  # then only copies of queries, keys and values are kept
    saved = 2 * made + 2 * wide + _cast(config, cell)  # its second LayerNorm and sum; before and after the activation
    for step in layers.steps:
        apart = sum(attention.heads for attention in step if attention.apart) / config.num_attention_heads
        # Queries, keys and values as they were projected, while one attention sees them so; those that were copied.
        projected = 1 if keeps_scores else (apart < 1) + apart
        saved += given + round(projected * (2 * given + made))  # its LayerNorm
        saved += 2 * made + (made if apart and not keeps_scores else 0)  # what was attended to, token by token; the sum
    if keeps_scores:
        number = compute_bytes(cell.precision, device)
        of_each = 4 if number == 4 or cell.attention == "sdpa-math" else 4 + number
        saved += cell.batch_size * layers.scores * of_each
    return saved


def _on_the_way_back(config: VivitConfig, cell: Cell, layers: Layers, device: str) -> int:
    """What gradients of one layer take beyond what it has kept: those of its MLP, or of its scores once the MLP's are gone."""
    _, _, wide = _sizes(config, cell, layers, device)
    scores = max(attention.scores for attention in layers.attentions) if BACKENDS[cell.attention].keeps_scores else 0
    return max(2 * wide, 2 * 4 * cell.batch_size * scores - 2 * wide)


def _sizes(config: VivitConfig, cell: Cell, layers: Layers, device: str) -> tuple[int, int, int]:
    """Bytes of all clips' tokens: those that a layer is given, those that it computes, and these inside its MLP."""
    size = cell.batch_size * compute_bytes(cell.precision, device)
    given, made = size * layers.tokens * config.hidden_size, size * layers.computed * config.hidden_size
    return given, made, size * layers.computed * config.intermediate_size


def _cast(config: VivitConfig, cell: Cell) -> int:
    """What weights in half precision take that are computed with in float32, one matrix at a time."""
    hidden = config.hidden_size
    return 4 * hidden * max(2 * hidden, config.intermediate_size) * (cell.precision == "float16-weights")


def _eight_bit_bytes(cell: Cell, given: int, made: int, device: str) -> int:
    """What a layer in 'int8-bitsandbytes' holds: its input, the same rounded, and its result with what that is made of.

    Args:
        given, made: bytes of its input and of its result, in what is computed with.
    """
    number = compute_bytes(cell.precision, device)
    # On a CPU: the int32 product, its rows' scales times its columns' in float32, the product of these two, and the result.
    copies = 3 * 4 + number if device == "cpu" else 4 + number
    return given + given // number + copies * made // number


def _dynamic_int8_bytes(rows: int, width: int, made: int, threads: int) -> int:
    """The most that a layer in 'int8-dynamic' holds, (rows, width) → (rows, made), its input and its result among it."""
    block = min(rows, ROWS_AT_A_TIME * threads)
    # Rounded tokens beside the same in float32, then beside the int32 product and that in float32.
    held = block * max(width + 4 * width, width + (4 + 4) * made)
    return 4 * rows * (width + made * (block < rows)) + held
