"""The choices that library, app and command line offer, each written once, with what to say of it. Imports nothing of ours.

What they do stands elsewhere under the same names: `vivit.attention.ATTENTION`, `vivit.precision.DTYPES`, `vivit.execution`,
`vivit.video.SAMPLING`, `vivit.processing.NORMALISATIONS`, `vivit.video.container.FORMATS`.
"""

from dataclasses import dataclass

COLOURS = 3  # channels of a frame


@dataclass(frozen=True)
class Backend:
    """An attention backend.

    Args:
        explanation: in one line.
        colour: its colour wherever a chart tells backends apart, as '#rrggbb'.
        keeps_scores: whether it writes the (N, N) scores of every head to memory.
        cuda_only: whether it runs on CUDA GPUs alone.
        half_only: whether a GPU runs it in float16 and bfloat16 alone.
        has_dropout: whether it has dropout on a GPU.
        compiled: whether its first call compiles it, which takes seconds.
        package: the distribution that brings it, '' for PyTorch itself.
        source: how to come by the package.
        least_capability: of a GPU, (major, minor) as CUDA numbers its chips.
        one_generation: whether it runs on chips of that major number alone.
    """

    explanation: str
    colour: str
    keeps_scores: bool = False
    cuda_only: bool = False
    half_only: bool = False
    has_dropout: bool = True
    compiled: bool = False
    package: str = ""
    source: str = ""
    least_capability: tuple[int, int] = (0, 0)
    one_generation: bool = False


# The colours of Okabe and Ito, which colour-blind people tell apart too; then of Paul Tol's muted ones, and a brown.
BACKENDS: dict[str, Backend] = {
    "eager": Backend("holds the whole N × N score matrix of every head", "#d55e00", keeps_scores=True),
    "sdpa": Backend("PyTorch picks the fused kernel", "#0072b2"),
    "sdpa-math": Backend("PyTorch's unfused reference kernel", "#e69f00", keeps_scores=True),
    "sdpa-flash": Backend("FlashAttention, tile by tile, never the whole matrix", "#009e73", half_only=True),
    "sdpa-efficient": Backend("memory-efficient attention, CUDA only", "#56b4e9", cuda_only=True),
    "sdpa-cudnn": Backend("cuDNN's fused attention, CUDA only", "#cc79a7", cuda_only=True, half_only=True),
    "flash_attention_2": Backend(
        "the package flash-attn, CUDA only",
        "#332288",
        cuda_only=True,
        half_only=True,
        package="flash-attn",
        source="pip install flash-attn --no-build-isolation",
        least_capability=(8, 0),
    ),
    "flash_attention_3": Backend(
        "the package flash-attn-3, for Hopper GPUs",
        "#882255",
        cuda_only=True,
        half_only=True,
        has_dropout=False,
        package="flash-attn-3",
        source="from the folder hopper of github.com/Dao-AILab/flash-attention",
        least_capability=(9, 0),
        one_generation=True,
    ),
    # 4.0.0b36 has a forward pass for chips of 8.x too, and no backward pass for them.
    "flash_attention_4": Backend(
        "the package flash-attn-4, for Hopper and Blackwell GPUs",
        "#999933",
        cuda_only=True,
        half_only=True,
        has_dropout=False,
        package="flash-attn-4",
        source="pip install flash-attn-4",
        least_capability=(9, 0),
    ),
    "flex_attention": Backend(
        "PyTorch's FlexAttention, compiled by its first call",
        "#7f4f24",
        has_dropout=False,
        compiled=True,
        least_capability=(7, 0),
    ),
}

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}  # of one number


@dataclass(frozen=True)
class Precision:
    """A precision.

    Args:
        weights: the dtype that matrices are kept in, a key of `BYTES`.
        compute: the dtype of every product and activation, and of all other parameters; read it by `compute_dtype`.
        explanation: in one line.
        lightness: how much white is mixed into a backend's colour where a chart tells precisions apart, 0 to 1.
        compute_on_gpu: `compute` on a CUDA GPU, where that is another dtype; else ''.
        rounded_products: whether the factors of products are rounded beyond `compute`.
    """

    weights: str
    compute: str
    explanation: str
    lightness: float
    compute_on_gpu: str = ""
    rounded_products: bool = False

    @property
    def exact(self) -> bool:
        """Whether all of it is float32."""
        return self.weights == self.compute == "float32" and not self.rounded_products


EIGHT_BIT = "int8-bitsandbytes"
DYNAMIC_INT8 = "int8-dynamic"
# Tokens for each thread that 'int8-dynamic' rounds and multiplies at a time, so that what is made of them stays in a cache.
ROWS_AT_A_TIME = 512
TF32 = "tf32"
PRECISIONS: dict[str, Precision] = {
    "float32": Precision("float32", "float32", "weights and arithmetic in float32", 0.0),
    TF32: Precision(
        "float32",
        "float32",
        "float32, with products rounded to TF32 on the tensor cores of NVIDIA GPUs",
        0.15,
        rounded_products=True,
    ),
    "float16": Precision("float16", "float16", "weights and arithmetic in float16", 0.3),
    "bfloat16": Precision("bfloat16", "bfloat16", "weights and arithmetic in bfloat16", 0.45),
    "float16-weights": Precision(
        "float16", "float32", "weights kept in float16, arithmetic in float32: half the memory", 0.6
    ),
    EIGHT_BIT: Precision(  # half precision is slow on CPUs
        "int8", "float32", "the encoder's matrices in 8 bit (LLM.int8), needs the package bitsandbytes", 0.7, "float16"
    ),
    DYNAMIC_INT8: Precision(
        "int8",
        "float32",
        "the encoder's matrices in 8 bit and multiplied so, each token rounded as it comes; CPUs with VNNI only",
        0.8,
    ),
}


def compute_dtype(precision: str, device: str) -> str:
    """The dtype that is computed in. Args: precision: a key of `PRECISIONS`; device: its type, 'cpu' or 'cuda' for instance."""
    kinds = PRECISIONS[precision]
    return (kinds.compute_on_gpu if device == "cuda" else "") or kinds.compute


def colour(attention: str, precision: str = "float32") -> str:
    """The colour of a cell in every chart: its backend's, lighter by its precision; grey for what another version measured."""
    if attention not in BACKENDS:
        return "#808080"
    share = PRECISIONS[precision].lightness if precision in PRECISIONS else 0.0
    parts = (int(BACKENDS[attention].colour[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * share):02x}" for part in parts)


EXECUTIONS: dict[str, str] = {
    "plain": "layer by layer, as PyTorch runs any model",
    "compiled": "by torch.compile as one graph, small steps fused; the first call makes it, which takes seconds to a minute",
    "captured": "recorded once for a size of clips as a CUDA graph, and replayed without launching each kernel",
}

FACTORIZATIONS: dict[str, str] = {
    "none": "model 1: every token attends to all others, over space and time at once",
    "encoder": "model 2: an encoder over each time step's tokens, then one over the steps",
    "self_attention": "model 3: in every layer attention over time and attention over space, one after the other",
    "dot_product": "model 4: in every layer half of the heads attend over time, half over space",
}

SAMPLING: dict[str, str] = {
    "uniform": "evenly over the whole clip",
    "consecutive": "from the first frame on",
    "transformers": "from the first frame on, as transformers' pipeline without torchvision",
    "transformers-torchvision": "the first frame of each of so many equal parts, as transformers' pipeline with torchvision",
    "center": "a window in the middle",
}
WITHOUT_STRIDE = ("uniform", "transformers-torchvision")  # they take the whole clip, whatever the stride

GEOMETRY: dict[str, str] = {
    "upright": "as a viewer sees them: turned, with square pixels, deinterlaced, in ordinary colours",
    "stored": "as they are stored in the first video stream, and converted to RGB alone, as transformers takes them",
}

NORMALISATION: dict[str, str] = {
    "checkpoint": "as the checkpoint says",
    "transformers": "as transformers, [-3, 1]",
    "original": "as the original, [-1, 1]",
}

# What files that are read end with: those of phones, cameras and recorders first, then streams without a container.
VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif", ".webp", ".m4v", ".3gp", ".3g2", ".mpg", ".mpeg", ".vob"),
    *(".ts", ".mts", ".m2ts", ".wmv", ".asf", ".flv", ".ogv", ".ogg", ".mxf", ".dv", ".apng", ".png", ".y4m", ".ivf"),
    *(".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".mjpeg", ".mjpg", ".obu", ".m2v"),
)
