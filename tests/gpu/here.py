"""What the machine has that tests for NVIDIA GPUs run on, and what they measure with."""

from vivit.attention import ATTENTION
from vivit.benchmark.measurement import StoppingRule
from vivit.flash_attention import installed
from vivit.names import BACKENDS

PACKAGES = [name for name, backend in BACKENDS.items() if backend.package]
ABSENT = [name for name in PACKAGES if not installed(BACKENDS[name].package)]
HERE = [name for name in ATTENTION if name not in ABSENT]
ANY_PRECISION = [name for name in HERE if not BACKENDS[name].half_only]
MANNEQUIN = "vivit-mannequin"
RULE = StoppingRule(min_samples=5, max_samples=5, seconds=20.0, warm_up_seconds=0.01)
