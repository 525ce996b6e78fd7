"""How PyTorch's threads wait for one another on a CPU. To be settled before torch is imported. Imports nothing of ours."""

import os

# Out of the box OpenMP's threads spin for milliseconds while they wait, and take the processors from those they wait for.
# docs/PERFORMANCE.md has what each choice costs, quiet and busy.
WAITING = {"GOMP_SPINCOUNT": "10000"}
OWN_WORD = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def waiting() -> dict[str, str]:
    """Variables for the environment of whatever computes; none where the user has settled it."""
    return {} if any(name in os.environ for name in OWN_WORD) else dict(WAITING)
