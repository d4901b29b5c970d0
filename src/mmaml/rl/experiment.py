"""Meta-reinforcement learning in a run folder: what is trained, evaluated and drawn."""

from dataclasses import replace
from typing import ClassVar

import jax.random as jr
import numpy as np

from mmaml.core.learners import AbstractLearner
from mmaml.core.parallel import tasks_at_once
from mmaml.experiments.experiment import EVALUATION_SEED, AbstractExperiment, Evaluation
from mmaml.rl.build import described, make_exploration, make_learner, make_outer
from mmaml.rl.config import PolicyConfig
from mmaml.rl.envs.catalogue import ENVIRONMENTS
from mmaml.rl.envs.environment import AbstractJaxEnvironment
from mmaml.rl.evaluate import evaluate
from mmaml.rl.model import PolicyModel
from mmaml.rl.pictures.figures import write_figures
from mmaml.rl.trainer import PolicyTrainer
from mmaml.runs.folder import RunFolder
from mmaml.runs.training import Schedule


class PolicyExperiment(AbstractExperiment[PolicyConfig]):
    """Meta-reinforcement learning; raises `UserError` if the environment needs MuJoCo, which is not there."""

    metric: ClassVar[str] = "return"
    lower_is_better: ClassVar[bool] = False
    keep_best: ClassVar[bool] = False

    def __init__(self, config: PolicyConfig):
        learner_key, task_key = jr.split(jr.key(config.seed))
        # What an MMAML does first, it does unmodulated, to see what task it is.
        self.modulated_from = 1 if config.learner == "mmaml" else 0
        self.exploration = make_exploration(config)
        environment = self.exploration.environment
        own = config.environment not in ENVIRONMENTS
        self.config = replace(config, environment_is=described(environment)) if own else config
        self.trainer = PolicyTrainer(
            exploration=self.exploration,
            learner=make_learner(config, environment, key=learner_key),
            outer=make_outer(config),
            tasks_per_step=config.tasks_per_step,
            key=task_key,
            task_microbatch=config.task_microbatch or tasks_at_once(config.tasks_per_step),
        )
        # A meta-iteration is long next to what it takes to save.
        every = min(5, config.iterations) if isinstance(environment, AbstractJaxEnvironment) else 1
        self.schedule = Schedule(config.iterations, every, dispatch=every)

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the kinds of goal."""
        return self.exploration.environment.modes

    @property
    def data(self) -> str:
        """The environment."""
        return self.config.environment

    def validate(self, learner: AbstractLearner) -> dict[str, float]:
        """Nothing: the trainer's own numbers are of fresh tasks."""
        del learner
        return {}

    def evaluate(self, learner: AbstractLearner, tasks: int, steps: int | None) -> Evaluation:
        """Mean undiscounted return of a task's rollouts, in each phase."""
        task_key, explore_key = jr.split(jr.key(EVALUATION_SEED))
        drawn = self.exploration.environment.sample_tasks(task_key, tasks)
        steps = self.config.inner_steps if steps is None else steps
        values = evaluate(self.exploration, learner, drawn, explore_key, steps)
        return Evaluation(values, np.asarray(drawn.mode), {"rollouts": self.config.rollouts})

    def save_model(self, learner: AbstractLearner, folder: RunFolder) -> None:
        """Write the trained model."""
        PolicyModel(self.config, learner, self.exploration).save(folder.model_path)

    def draw(self, learner: AbstractLearner, folder: RunFolder) -> None:
        """Write Figures 3c or d, 5 and 6 of this run."""
        write_figures(folder, learner, self.exploration, self.config)
