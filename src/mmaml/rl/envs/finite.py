"""What a policy that came apart looks like to an environment."""

import numpy as np
from jaxtyping import Float

from mmaml.runs.errors import RunFailed


def require_finite_actions(actions: Float[np.ndarray, "episodes action"]) -> None:
    """Raise `RunFailed` unless all `actions` are finite numbers."""
    if not np.isfinite(actions).all():
        broken = (~np.isfinite(actions).all(axis=1)).sum()
        raise RunFailed(
            f"the policy's actions are not finite in {broken} of {len(actions)} episodes: training has diverged; "
            "try smaller learning rates."
        )
