"""What is measured and what was found, as plain data with raw samples; every statistic is a property. No torch is used."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from vivit.names import BACKENDS, EXECUTIONS

MODES = ("inference", "training")
STATUSES = ("ok", "unavailable", "out-of-memory", "cancelled", "failed")
NOISY = 0.05  # of the median: a spread or a drift above it is called noisy
MIB = 2**20
NOT_FINITE = "Its logits are not finite: this precision overflows here."
CAVEATS = {  # what a figure can lack, in the order that matters → what that means
    "cold": "The figure is the first call of a process, without a warm-up, so it holds what happens only once.",
    "one process": "All its calls ran in one process, so nothing tells whether another would have been as fast.",
    "noisy": "Its calls or its processes differ by more than 5 % of the median.",
}


@dataclass(frozen=True)
class Cell:
    """One thing to measure.

    Args:
        checkpoint: a name that `vivit.checkpoint.open_checkpoint` takes.
        attention, precision: keys of `vivit.names.BACKENDS` and `PRECISIONS`.
        batch_size: clips a call.
        mode: 'inference' (a forward pass) or 'training' (forward, backward and an AdamW step, random labels).
        execution: how the passes run, a key of `vivit.names.EXECUTIONS`; a backend may compile whatever that is.
        num_frames: frames a clip, the checkpoint's own if None; others interpolate its position embeddings.
    """

    checkpoint: str
    attention: str = "sdpa"
    precision: str = "float32"
    batch_size: int = 1
    mode: str = "inference"
    execution: str = "plain"
    num_frames: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode={self.mode!r} is unknown; known are {', '.join(MODES)}")
        if self.execution not in EXECUTIONS:
            raise ValueError(f"execution={self.execution!r} is unknown; known are {', '.join(EXECUTIONS)}")
        if self.batch_size < 1 or (self.num_frames is not None and self.num_frames < 1):
            raise ValueError(f"batch_size={self.batch_size} and num_frames={self.num_frames} must be at least 1")

    @property
    def reference(self) -> "Cell":
        """The cell whose answers this one's are compared with: eager float32 on the same clip."""
        return Cell(self.checkpoint, "eager", "float32", num_frames=self.num_frames)

    @property
    def compiles(self) -> bool:
        """Whether the first call of a process compiles: the model, or a backend that is always compiled."""
        return self.execution == "compiled" or (self.attention in BACKENDS and BACKENDS[self.attention].compiled)

    @property
    def prepares(self) -> bool:
        """Whether the first call of a process makes what the later ones use: it compiles, or captures a graph."""
        return self.compiles or self.execution == "captured"

    @property
    def manner(self) -> str:
        """', compiled' or ', captured', to stand behind a name; '' for 'plain'."""
        return f", {self.execution}" * (self.execution != "plain")

    @property
    def name(self) -> str:
        """What tells it from others of its checkpoint, in a few words."""
        words = [self.attention, self.precision, f"batch {self.batch_size}"]
        words += [f"{self.num_frames} frames"] * (self.num_frames is not None) + [self.execution] * (
            self.execution != "plain"
        )
        return ", ".join(words + [self.mode] * (self.mode != "inference"))


@dataclass(frozen=True)
class StoppingRule:
    """When the timed calls of one round are enough: once they agree, or there are many, or time is up.

    Args:
        spread: enough if (interquartile range / median) is at most this (below 0: never), …
        min_samples: … and there are at least so many …
        least_seconds: … and they took so long together.
        max_samples: enough in any case.
        seconds: enough once the calls took this long together.
        warm_up_seconds: untimed calls after the first and before the timed ones, one at least; 0: none but the first.
        slow_seconds: a first call that takes as long is not repeated; `seconds` if None.
    """

    spread: float = 0.02
    min_samples: int = 5
    max_samples: int = 100
    seconds: float = 3.0
    warm_up_seconds: float = 0.3
    least_seconds: float = 0.0
    slow_seconds: float | None = None

    def satisfied(self, samples_ms: list[float]) -> bool:
        """Whether these are enough."""
        n, took = len(samples_ms), sum(samples_ms) / 1e3
        if n >= self.max_samples or took >= self.seconds:
            return True
        return n >= self.min_samples and took >= self.least_seconds and _spread(samples_ms) <= self.spread

    def too_slow(self, first_ms: float) -> bool:
        """Whether a first call that took so long stays the only one."""
        return first_ms >= 1e3 * (self.seconds if self.slow_seconds is None else self.slow_seconds)


# For a figure at a glance, where another backend is to answer within 2 s.
GLANCE = StoppingRule(min_samples=20, max_samples=20, seconds=0.6, warm_up_seconds=0, slow_seconds=3.0)
# For rates to estimate with: the best of a few.
PROBE = StoppingRule(
    spread=math.inf, min_samples=3, max_samples=1_000, seconds=0.1, warm_up_seconds=0, least_seconds=0.025,
    slow_seconds=math.inf,
)  # fmt: skip


def _spread(samples: list[float]) -> float:
    low, middle, high = np.percentile(samples, [25, 50, 75])
    return float((high - low) / middle)


@dataclass(frozen=True)
class Round:
    """The calls of one process.

    Args:
        first_ms: its first call, with all that happens only once: kernels loaded, memory reserved, code compiled.
        samples_ms: the timed calls, in order.
        warm: whether they came after a warm-up; if not, the one sample is the first call.
        number: of the sweep's round that it belongs to: processes of one round ran one after the other.
        others_share: of the processors, 0 to 1, that other programs had while its calls ran; None if that is not known.
    """

    first_ms: float
    samples_ms: tuple[float, ...]
    warm: bool = True
    number: int = 0
    others_share: float | None = None


@dataclass(frozen=True)
class Latency:
    """How long one call takes. Args: rounds: one a process, in the order they ran."""

    rounds: tuple[Round, ...]

    @property
    def warm(self) -> bool:
        """Whether any sample came after a warm-up."""
        return any(r.warm for r in self.rounds)

    @cached_property
    def samples_ms(self) -> list[float]:
        """Every sample; first calls only if there are no others."""
        return [ms for r in self.rounds if r.warm or not self.warm for ms in r.samples_ms]

    @property
    def first_ms(self) -> float:
        """The median of the rounds' first calls."""
        return float(np.median([r.first_ms for r in self.rounds]))

    @cached_property
    def median(self) -> float:
        return float(np.median(self.samples_ms))

    @property
    def mean(self) -> float:
        return float(np.mean(self.samples_ms))

    @property
    def p5(self) -> float:
        return float(np.percentile(self.samples_ms, 5))

    @property
    def p95(self) -> float:
        return float(np.percentile(self.samples_ms, 95))

    @property
    def iqr(self) -> float:
        """Interquartile range."""
        low, high = np.percentile(self.samples_ms, [25, 75])
        return float(high - low)

    @cached_property
    def round_medians(self) -> list[float]:
        """The median of each round: if they differ, the machine drifted."""
        return [float(np.median(r.samples_ms)) for r in self.rounds if r.warm or not self.warm]

    @property
    def caveats(self) -> dict[str, str]:
        """Every way in which the median says less than it seems, a key of `CAVEATS` → a sentence of this figure."""
        found = {}
        calls, processes = len(self.samples_ms), len(self.round_medians)
        if not self.warm:
            found["cold"] = "one cold call" if calls == 1 else f"{calls} cold calls"
        elif processes == 1:
            found["one process"] = f"{calls} call{'s' * (calls != 1)} of one process"
        noise = []
        if self.iqr > NOISY * self.median:
            noise.append(f"half of the calls spread over {self.iqr / self.median:.0%} of the median")
        if (drift := _middle_half(self.round_medians)) > NOISY:
            noise.append(f"the medians of half of the processes differ by {drift:.0%}")
        if noise:
            found["noisy"] = "; ".join(noise)
        return found


def _middle_half(values: list[float]) -> float:
    """How far the middle half of some values reaches, as a share of the least of them; of two values all of it."""
    low, high = np.percentile(values, 25, method="lower"), np.percentile(values, 75, method="higher")
    return float(high / low - 1)


@dataclass(frozen=True)
class Memory:
    """The most memory held at a time, in bytes, found in a call of its own: of a captured cell in the one that captures.

    A call that is too slow to be made twice is timed as well.

    Args:
        weights: the parameters, and the scales of those in 8 bit.
        activations: everything else at the peak: input, activations; in training gradients and AdamW's moments too.
        allocated, reserved: the GPU allocator's own peaks: what tensors took, and what it kept for them; None on a CPU.
        resident: the largest resident size of the process. It holds torch itself, and pages once freed are used again,
            so it neither adds up with the others nor tells two cells apart.
        weights_kept_in: the name of a dtype → bytes of the weights in it; {} in sweeps that did not keep it.
    """

    weights: int
    activations: int
    allocated: int | None
    reserved: int | None
    resident: int
    weights_kept_in: dict[str, int] = field(default_factory=dict, hash=False)

    @property
    def peak(self) -> int:
        """Weights and activations."""
        return self.weights + self.activations


@dataclass(frozen=True)
class Estimate:
    """What the cost model says before anything has run.

    Args:
        num_tokens: of one clip.
        flops: floating-point operations of one call, multiply and add counted separately.
        latency_ms: of one call; None where the backend does not run.
        weights, activations: bytes, as in `Memory`.
        factorization: of the model, a key of `vivit.names.FACTORIZATIONS`.
        scores: how often attention compares two tokens of one clip, in all heads of all layers; 0 in sweeps that did not keep
            it.
    """

    num_tokens: int
    flops: int
    latency_ms: float | None
    weights: int
    activations: int
    factorization: str = "none"
    scores: int = 0

    @property
    def peak(self) -> int:
        """Weights and activations, in bytes."""
        return self.weights + self.activations


@dataclass(frozen=True)
class Measurement:
    """What is known of a cell: always one row, whatever became of it.

    Args:
        cell: what was measured.
        status: one of `STATUSES`.
        reason: a sentence: why it is not ok, or what to know about an 'ok'.
        details: PyTorch's own words.
        kernel: the attention operator that ran, as the profiler saw it.
        device_kernels: the GPU kernels for it.
        latency, memory: None where nothing was measured; memory too where PyTorch does not count it, as on Apple's GPUs.
        logits: of the clip, (num_labels,); None in training, or if they were not finite.
        estimate: what the cost model had said.
    """

    cell: Cell
    status: str
    reason: str = ""
    details: str = ""
    kernel: str = ""
    device_kernels: tuple[str, ...] = ()
    latency: Latency | None = None
    memory: Memory | None = None
    logits: tuple[float, ...] | None = None
    estimate: Estimate | None = None

    @property
    def clips_per_second(self) -> float | None:
        return 1e3 * self.cell.batch_size / self.latency.median if self.latency else None

    @property
    def caveats(self) -> dict[str, str]:
        """As the latency's; {} where there is none."""
        return self.latency.caveats if self.latency else {}

    @property
    def sound(self) -> bool:
        """Whether it has a figure of warm calls in more than one process."""
        return self.latency is not None and not self.caveats.keys() & {"cold", "one process"}

    @property
    def flops_per_second(self) -> float | None:
        """The arithmetic the model asks for over the time it took, whatever the kernel really computed."""
        return 1e3 * self.estimate.flops / self.latency.median if self.latency and self.estimate else None

    def joined(self, later: "Measurement") -> "Measurement":
        """This and a later round of the same cell. A later round that was not ok changes at most the reason."""
        if later.status != "ok" or later.latency is None or self.latency is None:
            return self if later.status == "ok" else replace(self, reason=self.reason or later.reason)
        rounds = self.latency.rounds + later.latency.rounds
        return replace(self, latency=Latency(rounds), memory=self.memory or later.memory)


@dataclass(frozen=True)
class Agreement:
    """How near the answers of a cell are to those of eager float32.

    Args:
        max_logit_difference: the largest absolute difference between two logits of a class.
        kl: Kullback-Leibler divergence KL(reference ‖ this one) of the probabilities, in nats.
        top1: whether the best class is the same.
        top5: the share of the reference's five best classes that are among this one's.
    """

    max_logit_difference: float
    kl: float
    top1: bool
    top5: float


def agreement(logits: tuple[float, ...], reference: tuple[float, ...]) -> Agreement:
    """Compare two answers to the same clip, both (num_labels,) and finite."""
    ours, theirs = np.asarray(logits, np.float64), np.asarray(reference, np.float64)
    log_p, log_q = (x - x.max() - math.log(np.exp(x - x.max()).sum()) for x in (theirs, ours))
    best, expected = (np.argsort(-x, kind="stable")[:5].tolist() for x in (ours, theirs))
    return Agreement(
        max_logit_difference=float(np.abs(ours - theirs).max()),
        kl=max(0.0, float((np.exp(log_p) * (log_p - log_q)).sum())),
        top1=best[0] == expected[0],
        top5=len(set(best) & set(expected)) / len(expected),
    )
