"""Few-shot image classification, all its parts."""

from mmaml.classification.adapt import adapt_files
from mmaml.classification.config import ClassificationConfig
from mmaml.classification.experiment import REFERENCES, ClassificationExperiment
from mmaml.classification.figures import CAPTIONS
from mmaml.classification.model import ClassificationModel
from mmaml.classification.paper import OMNIGLOT, TABLE2
from mmaml.classification.presets import PRESETS
from mmaml.experiments.domain import Domain


CLASSIFICATION = Domain(
    title="few-shot image classification",
    config=ClassificationConfig,
    presets=PRESETS,
    experiment=ClassificationExperiment,
    model=ClassificationModel.restore,
    tables=(TABLE2, OMNIGLOT),
    glossary=CAPTIONS | REFERENCES,
    adapt_files=adapt_files,
)
