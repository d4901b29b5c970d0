"""What an image classification run is made of."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import tyro

from mmaml.classification.datasets.archive import archive_stem
from mmaml.classification.datasets.pictures import LARGEST_SIDE
from mmaml.core.precision import Precision, fastest_precision
from mmaml.experiments.config import Budget
from mmaml.runs.config import require, require_sizes
from mmaml.supervised.config import MetaOptimiser, SupervisedConfig


PAPER_SIDE, SMALL_SIDE = 84, 28


@dataclass(frozen=True, kw_only=True)
class ClassificationConfig(SupervisedConfig):
    """Few-shot image classification. `docs/classification.md` lists where the defaults differ from the reference."""

    DOMAIN: ClassVar[str] = "classification"
    LEFT_OPEN: ClassVar[frozenset[str]] = SupervisedConfig.LEFT_OPEN | {
        "datasets",
        "data_digests",
        "image_size",
        "precision",
    }
    ITERATIONS: ClassVar[dict[Budget, int]] = {"smoke": 4, "demo": 300, "cpu": 4_000, "paper": 60_000}
    EVALUATION_TASKS: ClassVar[dict[Budget, int]] = {"smoke": 20, "demo": 600, "cpu": 5_000, "paper": 1_000}

    datasets: tuple[str, ...] = ()
    """Data sets, each a mode; `mmaml data list` names them. The `smoke` budget takes scikit-learn's digits instead."""
    data: tuple[str, ...] = ()
    """Your own images instead: folders of class folders or archives of such, each a mode."""
    data_digests: tyro.conf.Suppress[tuple[str, ...]] = ()
    """Digest of what each of the data sets held when the run began, which must stay as it is."""
    way: int = 5
    """Classes of a task."""
    shot: int = 1
    """Labelled images of each class."""
    queries: int = 15
    """Query images of each class."""
    meta_batch: int | None = None
    """Tasks in a meta-iteration, shared out evenly over the modes; default: 10, and 5 from 20-way on (the paper)."""
    image_size: int | None = None
    """Side of the images in pixels; default: 84 for the `paper` budget, else 28."""
    augment: bool = False
    """Move training images a little and mirror every other one, but Omniglot's, or few classes are learnt by heart."""

    channels: tuple[int, ...] = (32, 64, 128, 256)
    """Channels of the blocks of the task network and of the encoder."""
    embedding: int = 128
    """Length of the task embedding."""
    encoder_labels: bool = False
    """Whether the task encoder reads the labels (the paper's formula) or the images alone (the reference)."""
    normalise_by: Literal["set", "support"] = "set"
    """What normalises query images: statistics of all of them (as published; one alone is lost), or of the support."""
    precision: Precision | None = "float32"
    """What convolutions and Muon multiply is rounded to this; by default to `bfloat16` where that is faster."""
    mode_rates: Literal["shared", "published"] = "published"
    """Step sizes of Multi-MAML: `inner_lr` for all modes, or Omniglot's and the others' own, as published."""

    inner_lr: float = 0.05
    """Step size of the inner steps."""
    inner_clip_norm: float | None = None
    """Longest inner gradient; longer ones are scaled down."""
    inner_clip_value: float | None = 20.0
    """Bound on each entry of an inner gradient (20 in the reference)."""
    engine: tyro.conf.Suppress[Literal["auto", "materialised"]] = "auto"
    """There is one way for convolutions."""
    meta_optimiser: MetaOptimiser = "muon"
    """What makes outer gradients into steps: Muon for weight matrices and Adam for all else, or Adam (the paper)."""
    meta_lr: float = 3e-3
    """Learning rate in the outer loop (0.001, with Adam, in the paper)."""

    def check(self) -> None:
        """Raise `UserError` for a value that cannot be."""
        super().check()
        if self.preset == "classification":
            require(bool(self.data), "data", self.data, "one or more folders of class folders, each a kind of images")
        require(bool(self.datasets or self.data), "datasets", self.datasets, "at least one data set")
        alone = "left out with --data, which is trained on alone: take the preset `classification`"
        require(not (self.datasets and self.data), "datasets", self.datasets, alone)
        require(self.way > 1, "way", self.way, "at least 2")
        require_sizes(self, "shot", "queries", "embedding", "channels")
        require(self.meta_batch is None or self.meta_batch > 0, "meta_batch", self.meta_batch, "at least 1")
        size = self.image_size
        require(size is None or 0 < size <= LARGEST_SIDE, "image_size", size, f"from 1 to {LARGEST_SIDE}")
        fixed = self.learner == "multi-maml" and self.mode_rates == "published"
        shared = "the default with the published step sizes of Multi-MAML, or add --mode-rates shared"
        for option in ("inner_lr", "step_sizes"):
            value = getattr(self, option)
            require(not fixed or value == getattr(ClassificationConfig, option), option, value, shared)
        stepless = "at least 1, or add --mode-rates shared: Multi-MAML's published step sizes are of steps"
        require(not fixed or self.inner_steps > 0, "inner_steps", self.inner_steps, stepless)

    @property
    def budget_iterations(self) -> int:
        """Meta-iterations of the budget; the paper spends more on 20-way tasks."""
        return 80_000 if self.budget == "paper" and self.way >= 20 else super().budget_iterations

    @property
    def tasks_per_step(self) -> int:
        """Tasks in a meta-iteration."""
        return self.meta_batch or (5 if self.way >= 20 else 10)

    @property
    def side(self) -> int:
        """Side of the images in pixels."""
        return self.image_size or (PAPER_SIDE if self.budget == "paper" else SMALL_SIDE)

    @property
    def rounded_to(self) -> Precision:
        """What factors are rounded to."""
        return self.precision or fastest_precision()

    @property
    def short_name(self) -> str:
        """What names the setting in folder names."""
        own = [archive_stem(Path(path).resolve()) for path in self.data]
        return "-".join([self.preset, *own, f"{self.way}way", f"{self.shot}shot"])

    @property
    def drawings(self) -> bool:
        """Whether all images are Omniglot's."""
        return not self.data and self.datasets == ("omniglot",)

    def is_omniglot(self, mode: str) -> bool:
        """Whether a mode is Omniglot, and not a folder of one's own of that name."""
        return mode == "omniglot" and not self.data

    @property
    def description(self) -> str:
        """What the tasks are, in a few words."""
        return ", ".join(self.datasets) or "your own folders"
