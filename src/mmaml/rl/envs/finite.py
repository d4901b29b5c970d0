"""What a policy that came apart looks like to an environment."""

import numpy as np
from jaxtyping import Shaped

from mmaml.runs.errors import RunFailed


def require_finite_actions(actions: Shaped[np.ndarray, "episodes *action"]) -> None:
    """Raise `RunFailed` unless all `actions` are finite numbers."""
    if not np.isfinite(actions).all():
        broken = (~np.isfinite(actions)).reshape(len(actions), -1).any(axis=1).sum()
        raise RunFailed(
            f"the policy's actions are not finite in {broken} of {len(actions)} episodes: training has diverged; "
            "try smaller learning rates."
        )
