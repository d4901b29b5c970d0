"""What a run's `result.json` holds."""

from typing import Any, NotRequired, TypedDict

from mmaml.runs.errors import UserError, command
from mmaml.runs.files import read_json
from mmaml.runs.folder import RunFolder


class Mean(TypedDict):
    """A mean over tasks, and half the width of its 95 % confidence interval."""

    mean: float
    ci95: float


class MeanByMode(Mean):
    """That of all tasks, and those of each kind by its name."""

    per_mode: dict[str, Mean]


class Stage(MeanByMode):
    """The metric after so many gradient steps; `modulated` is false where the learner has not modulated yet."""

    steps: int
    modulated: NotRequired[bool]


class Reference(MeanByMode):
    """What another predictor achieves on the same tasks."""

    name: str


class More(TypedDict, total=False):
    """What only some domains or some tasks have.

    - `excess`: the mean difference to the `reference`, task by task.
    - `effective_samples`: percentiles over tasks of how many samples the Bayes-optimal reference rests on.
    - `note`: what the result has to say of itself.
    """

    reference: Reference
    excess: Mean
    effective_samples: dict[str, float]
    note: str
    held_out_files: int
    way: int
    shot: int
    queries: int
    image_size: int
    rollouts: int


class Result(More):
    """How a run was made, how it was judged and what came out.

    - `modulation`: `None` for learners that do not modulate.
    - `data`: what the tasks were really made of.
    - `meta_iterations`: those of the learner that was judged; `trained` and `planned` are those of the run.
    - `evaluated`: command, commit, versions and machine of the evaluation; the run's own are beside it.
    - `stages`: after 0, 1, … gradient steps.
    """

    preset: str
    learner: str
    modulation: str | None
    budget: str
    data: str
    metric: str
    lower_is_better: bool
    tasks: int
    seed: int
    meta_iterations: int
    trained: int
    planned: int
    train_seconds: float
    command: str
    commit: str | None
    versions: dict[str, str | None]
    machine: str
    devices: int
    evaluated: dict[str, Any]
    stages: list[Stage]


def read_result(folder: RunFolder) -> Result | None:
    """The run's result, `None` if it has none yet. Raises `UserError` if the file is broken or lacks something."""
    if not folder.result_path.is_file():
        return None
    result: Any = read_json(folder.result_path)
    missing = Result.__required_keys__ - set(result if isinstance(result, dict) else ())
    if missing or not _whole(result["stages"]):
        raise UserError(
            f"{folder.result_path} lacks {', '.join(sorted(missing)) or 'whole stages'}: it was not written by this "
            f"version, or is damaged. Write it again with {command('evaluate', folder.path)}."
        )
    return result  # pyright: ignore[reportReturnType]


def _whole(stages: Any) -> bool:
    """Whether it is a list of one `Stage` or more."""
    needed = Stage.__required_keys__
    return isinstance(stages, list) and bool(stages) and all(isinstance(s, dict) and needed <= s.keys() for s in stages)
