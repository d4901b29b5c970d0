"""Few-shot regression, all its parts."""

from mmaml.experiments.domain import Domain
from mmaml.regression.ablation import ABLATION
from mmaml.regression.adapt import adapt_files
from mmaml.regression.config import RegressionConfig
from mmaml.regression.experiment import REFERENCES, RegressionExperiment
from mmaml.regression.figures import CAPTIONS, compare_fits
from mmaml.regression.model import RegressionModel
from mmaml.regression.paper import TABLE1
from mmaml.regression.presets import PRESETS


REGRESSION = Domain(
    title="few-shot regression",
    config=RegressionConfig,
    presets=PRESETS,
    experiment=RegressionExperiment,
    model=RegressionModel.restore,
    tables=(TABLE1, ABLATION),
    glossary=CAPTIONS | REFERENCES,
    adapt_files=adapt_files,
    compare=compare_fits,
)
