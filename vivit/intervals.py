"""How far a share that was counted may lie from the true one."""

import math
from statistics import NormalDist


def wilson(right: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share, which holds for few and for none right too.

    Args:
        right: how many were, 0 to `of`.
        of: how many there were, 0 or more; of none nothing is known, so it is (0, 1).
        confidence: how often such an interval holds the true share, above 0 and below 1.

    Returns:
        low and high, each in [0, 1].

    Raises:
        ValueError: for counts or a confidence out of these.

    Source: Wilson 1927, 'Probable Inference, the Law of Succession, and Statistical Inference'; Newcombe 1998, method 3.
    """
    if not 0 <= right <= of or not 0 < confidence < 1:
        raise ValueError(f"wilson(right={right}, of={of}, confidence={confidence}) is of no count")
    if of == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = right + z * z / 2
    half = z * math.sqrt(right * (of - right) / of + z * z / 4)
    low, high = ((centre + side * half) / (of + z * z) for side in (-1, 1))
    return max(0.0, low), min(1.0, high)
