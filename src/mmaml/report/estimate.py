"""A number with its uncertainty, as tables and sentences show it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A mean with half the width of its 95 % confidence interval; `best` if no other run's mean is better."""

    mean: float
    ci95: float
    best: bool = False
    signed: bool = False

    def __str__(self) -> str:
        size = max(abs(self.mean), self.ci95)
        usual = size == 0 or 0.01 <= size < 1e6
        form = (".3f" if size < 100 else ".1f") if usual else ".3g"
        return f"{self.mean:{'+' if self.signed else ''}{form}} ± {self.ci95:{form}}"
