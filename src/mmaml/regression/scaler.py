"""From a person's units to numbers that learn well, and back."""

import math
import warnings
from typing import Literal

import equinox as eqx
import numpy as np
from jaxtyping import Float

from mmaml.runs.errors import Note


FARTHEST = 1e15
"""Standard deviations from the mean beyond which squares overflow in single precision."""


class Scaler(eqx.Module):
    """Brings inputs and targets to zero mean and unit deviation over the training tasks' points.

    It reckons in double precision: a mean rounded to single may be far off in units of a small deviation.
    `x_farthest` and `y_farthest` are the largest distances of a training task's point from the mean, in deviations.
    """

    x_mean: Float[np.ndarray, " in"]
    x_std: Float[np.ndarray, " in"]
    y_mean: float
    y_std: float
    x_farthest: float = math.inf
    y_farthest: float = math.inf

    @classmethod
    def identity(cls, in_size: int, x_farthest: float = math.inf) -> "Scaler":
        """Leaves everything as it is."""
        return cls(np.zeros(in_size), np.ones(in_size), 0.0, 1.0, x_farthest)

    @classmethod
    def fit(cls, x: Float[np.ndarray, "points in"], y: Float[np.ndarray, " points"]) -> "Scaler":
        """Mean and deviation of the training tasks' points; a constant column keeps its scale."""
        x_mean, x_std = _mean_and_std(x)
        (y_mean,), (y_std,) = _mean_and_std(y[:, None])
        x_farthest, y_farthest = np.abs((x - x_mean) / x_std).max(), np.abs((y - y_mean) / y_std).max()
        return cls(x_mean, x_std, float(y_mean), float(y_std), float(x_farthest), float(y_farthest))

    def scale_x(self, x: Float[np.ndarray, "points in"]) -> Float[np.ndarray, "points in"]:
        """Inputs as the learner sees them. Raises `ValueError` if they are too far from the training tasks'."""
        return _single((x - self.x_mean) / self.x_std, "x")

    def scale_y(self, y: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points 1"]:
        """Targets as the learner sees them. Raises `ValueError` if they are too far from the training tasks'."""
        return _single((y - self.y_mean) / self.y_std, "y")[:, None]

    def speak_of_the_far(self, name: Literal["x", "y"], scaled: Float[np.ndarray, "points columns"]) -> None:
        """Say so (`Note`) if scaled inputs or targets are more than twice as far away as any in training."""
        known = self.x_farthest if name == "x" else self.y_farthest
        if (farthest := np.abs(scaled).max(initial=0)) > 2 * known:
            warnings.warn(
                f"{name} lies up to {farthest / known:.3g} times as far from the mean of what the model was trained on "
                "as anything did there. Look for wrong units; if they are right, the model guesses.",
                Note,
                stacklevel=3,
            )

    @property
    def y_decimals(self) -> int:
        """Decimal places of predictions in the user's units that mean something in single precision."""
        return 6 - math.floor(math.log10(self.y_std))

    def unscale_y(self, y: Float[np.ndarray, "points 1"]) -> Float[np.ndarray, " points"]:
        """Predictions in the user's units."""
        return y[:, 0].astype(np.float64) * self.y_std + self.y_mean


def _single(scaled: Float[np.ndarray, "*shape"], name: str) -> Float[np.ndarray, "*shape"]:
    if (farthest := np.abs(scaled).max(initial=0)) > FARTHEST:
        raise ValueError(
            f"{name} lies {farthest:.0e} standard deviations from what the model was trained on, and may lie "
            f"{FARTHEST:.0e}; look for a wrong number, or wrong units."
        )
    return scaled.astype(np.float32)


def _mean_and_std(
    values: Float[np.ndarray, "points columns"],
) -> tuple[Float[np.ndarray, " columns"], Float[np.ndarray, " columns"]]:
    mean = values.mean(0)
    # The squares of small numbers would underflow.
    largest = np.abs(values - mean).max(0)
    std = largest * (values / np.where(largest > 0, largest, 1)).std(0)
    # The deviation of a constant column is not 0 but the rounding error of its mean.
    return mean, np.where(std > 1e-12 * np.abs(mean), std, 1.0)
