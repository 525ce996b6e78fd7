"""Multinomial logistic regressions of the same clips, many at once, by Newton's method with conjugate gradients.

Letters: F fits, N clips, R their rank (at most N and the size of a feature), K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

NEWTON_STEPS, GRADIENT_STEPS, HALVINGS = 60, 200, 40  # at most
FORCING = 0.1  # how much of a gradient is left when a Newton step is good enough


@dataclass(frozen=True)
class Coefficients:
    """What was fitted. Args: weights: (F, R, K) float64. bias: (F, K)."""

    weights: Tensor
    bias: Tensor

    def logits(self, inputs: Tensor) -> Tensor:
        """(F, N, R) → (F, N, K)."""
        return torch.baddbmm(self.bias[:, None], inputs, self.weights)

    def moved(self, step: Tensor, by: "Coefficients") -> "Coefficients":
        """These, and `step` times `by` added. Args: step: (F,)."""
        return Coefficients(self.weights + step[:, None, None] * by.weights, self.bias + step[:, None] * by.bias)

    def dot(self, other: "Coefficients") -> Tensor:
        """Scalar products, (F,)."""
        return (self.weights * other.weights).sum((1, 2)) + (self.bias * other.bias).sum(1)


def zeros(fits: int, rank: int, classes: int) -> Coefficients:
    """Coefficients of 0, to begin with."""
    return Coefficients(
        torch.zeros(fits, rank, classes, dtype=torch.float64), torch.zeros(fits, classes, dtype=torch.float64)
    )


@dataclass(frozen=True)
class Problem:
    """C · Σ weight · cross entropy + ½ · Σ coefficients², the biases free, for each fit.

    Args:
        inputs: (F, N, R) float64.
        targets: (N, K), 1 for a clip's class.
        weights: (F, N), 0 for a clip that a fit does not see.
        regularisation: C.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    regularisation: float

    def loss(self, at: Coefficients) -> Tensor:
        """(F,)."""
        surprise = -(at.logits(self.inputs).log_softmax(-1) * self.targets).sum(-1)
        return self.regularisation * (self.weights * surprise).sum(1) + at.weights.square().sum((1, 2)) / 2

    def _back(self, rows: Tensor, weights: Tensor) -> Coefficients:
        rows = self.regularisation * self.weights[..., None] * rows
        return Coefficients(self.inputs.mT @ rows + weights, rows.sum(1))

    def gradient(self, at: Coefficients, probabilities: Tensor) -> Coefficients:
        """Args: probabilities: (F, N, K), there."""
        return self._back(probabilities - self.targets, at.weights)

    def curvature(self, along: Coefficients, probabilities: Tensor) -> Coefficients:
        """The Hessian's product with a direction."""
        change = probabilities * along.logits(self.inputs)
        return self._back(change - probabilities * change.sum(-1, keepdim=True), along.weights)

    def diagonal(self, probabilities: Tensor) -> Coefficients:
        """The Hessian's diagonal, which is most of it where columns of `inputs` are at right angles."""
        rows = self.regularisation * self.weights[..., None] * probabilities * (1 - probabilities)
        # A bias is not drawn to 0, and a class that is sure of every clip would divide by nothing.
        return Coefficients(1 + self.inputs.square().mT @ rows, rows.sum(1) + 1e-9)


def solve(problem: Problem, start: Coefficients, tolerance: float = 1e-9) -> Coefficients:
    """The coefficients of the least loss, of which there is one but for a constant in the biases.

    Args:
        start: where to begin.
        tolerance: of the gradient's length, relative to C times the clips that a fit sees.

    Source: Nocedal and Wright 2006, 'Numerical Optimization', algorithm 7.1.
    """
    at, scale = start, problem.regularisation * problem.weights.sum(1).clamp(min=1)
    loss = problem.loss(at)
    for _ in range(NEWTON_STEPS):
        probabilities = at.logits(problem.inputs).softmax(-1)
        gradient = problem.gradient(at, probabilities)
        slopes = gradient.dot(gradient)
        moving = slopes.sqrt() > tolerance * scale
        if not moving.any():
            break
        step = _newton(problem, probabilities, gradient, moving)
        descent = gradient.dot(step)
        size = moving.to(slopes)
        for _ in range(HALVINGS):
            there = at.moved(size, step)
            loss_there = problem.loss(there)
            # The last digits of a loss are noise, which must not keep a fit from its end.
            worse = moving & (loss_there > loss + 1e-4 * size * descent + 1e-14 * loss.abs())
            if not worse.any():
                break
            size = torch.where(worse, size / 2, size)
        at, loss = there, loss_there
    return at


def _newton(problem: Problem, probabilities: Tensor, gradient: Coefficients, moving: Tensor) -> Coefficients:
    """Newton's steps where fits move, and none elsewhere, by conjugate gradients."""
    step, size = zeros(*gradient.weights.shape), -moving.to(gradient.bias)
    rest = step.moved(size, gradient)
    scales = problem.diagonal(probabilities)

    def scaled(of: Coefficients) -> Coefficients:
        return Coefficients(of.weights / scales.weights, of.bias / scales.bias)

    direction = scaled(rest)
    left = rest.dot(direction)
    enough = left * torch.minimum(left.new_tensor(FORCING**2), left.sqrt())
    for _ in range(GRADIENT_STEPS):
        active = left > enough
        if not active.any():
            break
        bent = problem.curvature(direction, probabilities)
        size = torch.where(active, left / direction.dot(bent).clamp(min=1e-300), 0.0)
        step, rest = step.moved(size, direction), rest.moved(-size, bent)
        aside = scaled(rest)
        now = rest.dot(aside)
        turn = torch.where(active, now / left.clamp(min=1e-300), 0.0)
        direction = aside.moved(turn, direction)
        left = torch.where(active, now, left)
    return step
