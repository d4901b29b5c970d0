"""The MuJoCo engine, stepping a batch of states of one model on several threads."""

from importlib import resources
from typing import Any

import numpy as np
from jaxtyping import Float

from mmaml.rl.envs.finite import require_finite_actions
from mmaml.rl.envs.opengl import REMEDY, opengl_setting
from mmaml.runs.devices import processors
from mmaml.runs.errors import RunFailed, UserError


class Physics:
    """A model and as many workspaces and threads as asked for.

    A state is a row `(time, qpos, qvel)`. Models switch warm starts of the solver off, so that a step depends on this
    row and the control alone: the same whatever the thread, the batch and the episode stepped before.
    """

    def __init__(self, name: str, substeps: int, threads: int | None = None):
        """Compile the model `name` of this package; each `step` takes `substeps` of its time steps.

        `threads` is by default the number of processors that this process may use. Raises `UserError` if MuJoCo
        cannot be imported and `ValueError` for fewer than one thread.
        """
        mujoco, rollout = _engine()
        self._made_of = name, substeps, threads
        threads = processors() if threads is None else threads
        if threads < 1:
            raise ValueError(f"physics got {threads} threads; at least 1 is needed")
        model = resources.files("mmaml.rl.envs").joinpath("models", f"{name}.xml").read_text(encoding="utf-8")
        self.model: Any = mujoco.MjModel.from_xml_string(model)
        self.substeps = substeps
        self.seconds: float = substeps * self.model.opt.timestep
        """Simulated time of one step."""
        self._workspaces = [mujoco.MjData(self.model) for _ in range(threads)]
        # No pool for one thread: the caller's own does the work.
        self._pool = rollout.Rollout(nthread=threads if threads > 1 else 0)

    def __eq__(self, other: object) -> bool:
        """Alike if made alike, so that jitted functions know an environment again."""
        return isinstance(other, Physics) and self._made_of == other._made_of

    def __hash__(self) -> int:
        return hash(self._made_of)

    def states(
        self, qpos: Float[np.ndarray, "episodes nq"], qvel: Float[np.ndarray, "episodes nv"]
    ) -> Float[np.ndarray, "episodes state"]:
        """States at time 0 that differ by `qpos` and `qvel` from the model's pose at rest."""
        return np.concatenate([np.zeros((len(qpos), 1)), self.model.qpos0 + qpos, qvel], axis=1)

    def qpos(self, states: Float[np.ndarray, "episodes state"]) -> Float[np.ndarray, "episodes nq"]:
        """Positions."""
        return states[:, 1 : 1 + self.model.nq]

    def qvel(self, states: Float[np.ndarray, "episodes state"]) -> Float[np.ndarray, "episodes nv"]:
        """Velocities."""
        return states[:, 1 + self.model.nq :]

    def step(
        self, states: Float[np.ndarray, "episodes state"], controls: Float[np.ndarray, "episodes nu"]
    ) -> Float[np.ndarray, "episodes state"]:
        """The states `seconds` later, with the controls held constant.

        Raises `RunFailed` if a control is not finite or the engine gave up on a state and began it anew.
        """
        require_finite_actions(controls)
        path, _ = self._pool.rollout(
            self.model, self._workspaces, states, np.asarray(controls, np.float64)[:, None], nstep=self.substeps
        )
        after = path[:, -1].copy()
        # The engine's answer to an unstable simulation is to begin anew at time 0.
        lost = ~(np.abs(after[:, 0] - states[:, 0] - self.seconds) < 1e-6)
        if lost.any():
            raise RunFailed(
                f"the simulation became unstable in {lost.sum()} of {len(states)} episodes, the first of them at time "
                f"{states[lost][0, 0]:.3g} s."
            )
        return after


def _engine() -> tuple[Any, Any]:
    try:
        import mujoco
        from mujoco import rollout
    except ImportError:
        raise UserError("this environment needs MuJoCo, which is not installed: pip install 'mmaml[rl]'.") from None
    except Exception as error:  # it looks for OpenGL, and each way of missing it has its own class
        raise UserError(
            f"MuJoCo cannot be imported with {opengl_setting()} ({type(error).__name__}: {error}). {REMEDY}"
        ) from error
    return mujoco, rollout
