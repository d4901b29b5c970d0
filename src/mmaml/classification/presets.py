"""The published settings of classification by name."""

from mmaml.classification.config import SMALL_SIDE, ClassificationConfig


MODES = ("omniglot", "mini-imagenet", "fc100", "cub", "aircraft")
"""The paper's data sets, in its order."""

PRESETS: dict[str, ClassificationConfig] = {
    f"classification-{modes}": ClassificationConfig(
        preset=f"classification-{modes}", datasets=MODES[:modes], precision=None
    )
    for modes in (2, 3, 5)
} | {
    # The published steps of 5-way tasks.
    "omniglot": ClassificationConfig(
        preset="omniglot",
        datasets=MODES[:1],
        image_size=SMALL_SIDE,
        inner_lr=0.4,
        inner_steps=1,
        mode_rates="shared",
        precision=None,
    ),
    "classification": ClassificationConfig(
        preset="classification",
        augment=True,
        normalise_by="support",
        step_sizes="per-layer",
        modulation_scale=0.1,
        mode_rates="shared",
        precision=None,
    ),
}
"""The paper's settings (Table 2) of the first 2, 3 or 5 data sets; Omniglot alone, at 28 pixels in every budget; and
`classification`, for `data` of one's own."""
