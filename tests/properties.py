"""How properties are tested: the same examples each time, and few enough of them that a property takes a second or so."""

from hypothesis import HealthCheck, settings

PROPERTY = settings(
    deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)  # a machine that is busy elsewhere draws slowly
