"""A trained learner in use: adapt it to a few points of a new task, then predict."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from mmaml.core.learners import AbstractLearner
from mmaml.core.network import TaskModel
from mmaml.core.task import Samples
from mmaml.experiments.modelfile import fill_learner, write_model
from mmaml.experiments.neighbours import EmbeddedTasks
from mmaml.regression.config import RegressionConfig
from mmaml.regression.learner import make_learner
from mmaml.regression.loss import mean_squared_error
from mmaml.regression.own.points import input_columns
from mmaml.regression.scaler import Scaler
from mmaml.regression.tasks import X_RANGE
from mmaml.runs.config import from_dict, to_dict
from mmaml.supervised.use import AdaptedTask, adapt_to, landmark_tensors, outputs, read_landmarks


class AdaptedRegressor(AdaptedTask):
    """The model of one task. `predict` and `score` as in scikit-learn.

    `embedding` and `mode_neighbours` as in `mmaml.AdaptedTask`.
    """

    def __init__(self, model: TaskModel, scaler: Scaler, known: EmbeddedTasks | None, modes: tuple[str, ...]):
        super().__init__(model, known, modes)
        self._scaler = scaler

    def predict(self, x: ArrayLike) -> Float[np.ndarray, " points"]:
        """Predictions at `x`, as in `RegressionModel.adapt`. It warns (`Note`) of x far from what was trained on."""
        inputs = self._scaler.scale_x(_inputs(x, len(self._scaler.x_mean)))
        self._scaler.speak_of_the_far("x", inputs)
        return self._scaler.unscale_y(np.asarray(outputs(self._model, jnp.asarray(inputs))))

    def score(self, x: ArrayLike, y: ArrayLike) -> float:
        """R², the share of the variance of `y` that the predictions at `x` explain; 1 at best.

        Both as in `RegressionModel.adapt`. Raises `ValueError` for what does not fit, and for y that does not vary.
        """
        predicted, targets = self.predict(x), _targets(y)
        if len(predicted) != len(targets):
            raise ValueError(f"x has {len(predicted)} points and y {len(targets)}; both must have the same.")
        if len(targets) == 0 or np.ptp(targets) == 0:
            seen = f"is {targets[0]} at all {len(targets)} points" if len(targets) else "has no points"
            raise ValueError(f"y {seen}; R² is of what varies.")
        return float(1 - np.mean((predicted - targets) ** 2) / targets.var())


@dataclass(frozen=True, eq=False)
class RegressionModel:
    """A meta-trained learner with everything it takes to use it.

    `landmarks` are training tasks that it compares new ones with.
    """

    config: RegressionConfig
    learner: AbstractLearner
    scaler: Scaler
    modes: tuple[str, ...]
    landmarks: EmbeddedTasks | None

    def adapt(
        self, x: ArrayLike, y: ArrayLike, *, steps: int | None = None, mode: str | None = None
    ) -> AdaptedRegressor:
        """Learn a new task from a few points: `x` `(points, in)` or `(points,)`, `y` `(points,)`.

        Of a data frame with columns `x1`, `x2`, … the inputs are these, whatever their order.
        `steps` gradient steps are taken (default: as in meta-training). Multi-MAML must be told the `mode`.
        It warns (`Note`) of points far from what was trained on, as wrong units make them.
        Raises `ValueError` for shapes or values that do not fit.
        """
        inputs = _inputs(x, len(self.scaler.x_mean))
        targets = _targets(y)
        if len(inputs) != len(targets) or len(inputs) == 0:
            raise ValueError(f"x has {len(inputs)} points and y {len(targets)}; both must have the same, at least one.")
        scaled_x, scaled_y = self.scaler.scale_x(inputs), self.scaler.scale_y(targets)
        self.scaler.speak_of_the_far("x", scaled_x)
        self.scaler.speak_of_the_far("y", scaled_y)
        support = Samples(jnp.asarray(scaled_x), jnp.asarray(scaled_y))
        adapted = adapt_to(self.learner, support, mean_squared_error, steps=steps, mode=mode, modes=self.modes)
        return AdaptedRegressor(adapted, self.scaler, self.landmarks, self.modes)

    def save(self, path: str | Path) -> None:
        """Write the model to one safetensors file."""
        header = {"config": to_dict(self.config), "modes": self.modes}
        scaler = {f"scaler.{name}": np.asarray(value) for name, value in vars(self.scaler).items()}
        write_model(path, self.config.DOMAIN, self.learner, header, scaler | landmark_tensors(self.landmarks))

    @classmethod
    def restore(cls, header: dict[str, Any], tensors: dict[str, np.ndarray], path: Path) -> "RegressionModel":
        """The model whose file at `path` holds `header` and `tensors`. Raises `UserError` if it is damaged."""
        config = from_dict(RegressionConfig, header["config"])
        modes = tuple(header["modes"])
        scaler = Scaler(
            tensors["scaler.x_mean"],
            tensors["scaler.x_std"],
            float(tensors["scaler.y_mean"]),
            float(tensors["scaler.y_std"]),
            # Older models lack the rest.
            float(tensors.get("scaler.x_farthest", X_RANGE[1] if config.families else math.inf)),
            float(tensors.get("scaler.y_farthest", math.inf)),
        )
        sizes = {"in_size": len(scaler.x_mean), "modes": len(modes)}
        like = eqx.filter_eval_shape(make_learner, config, **sizes, key=jr.key(0))
        return cls(config, fill_learner(like, tensors, path), scaler, modes, read_landmarks(tensors))


def _inputs(x: ArrayLike, in_size: int) -> Float[np.ndarray, "points in"]:
    names = input_columns(in_size)
    if set(names) <= set(map(str, getattr(x, "columns", ()))):
        x = x[names]  # pyright: ignore[reportIndexIssue, reportArgumentType, reportCallIssue]
    inputs = _numbers(x, "x")
    inputs = inputs[:, None] if inputs.ndim == 1 else inputs
    if inputs.ndim != 2 or inputs.shape[1] != in_size:
        raise ValueError(
            f"x has the shape {np.shape(x)}; it must be (points, {in_size}){' or (points,)' * (in_size == 1)}."
        )
    return inputs


def _targets(y: ArrayLike) -> Float[np.ndarray, " points"]:
    targets = _numbers(y, "y")
    targets = targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets
    if targets.ndim != 1:
        raise ValueError(f"y has the shape {targets.shape}; it must be (points,).")
    return targets


def _numbers(values: ArrayLike, name: str) -> Float[np.ndarray, "..."]:
    try:
        given = np.ma.asarray(values)
        if given.dtype.kind in "mMc":
            raise TypeError(f"it is of the type {given.dtype}")
        numbers = np.ma.filled(given.astype(float), np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be finite numbers: {error}.") from error
    if len(odd := np.argwhere(~np.isfinite(numbers))):
        first = tuple(odd[0].tolist())
        raise ValueError(
            f"{name} must be finite numbers, but {name}[{', '.join(map(str, first))}] is {numbers[first]}."
        )
    return numbers
