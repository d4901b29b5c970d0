"""The published settings of regression by name."""

from mmaml.regression.config import RegressionConfig
from mmaml.regression.tasks import FAMILIES


PRESETS: dict[str, RegressionConfig] = {
    f"regression-{modes}": RegressionConfig(tuple(FAMILIES)[:modes], preset=f"regression-{modes}")
    for modes in (2, 3, 5)
} | {"regression": RegressionConfig((), preset="regression", augment=True)}
"""The paper's settings (Table 1), of the first 2, 3 or 5 families; and `regression`, for `data` of one's own."""
