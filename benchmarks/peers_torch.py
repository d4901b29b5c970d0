"""Time one MMAML-FiLM meta-iteration in PyTorch: an independent peer for the speed benchmark.

One iteration samples a meta-batch of the 5-mode regression problem, computes its meta-gradient (second order,
through every inner step), clips it and takes an Adam step. The engines differ in how they differentiate:

    loop      one task after another, `torch.autograd.grad(create_graph=True)`: as the reference does
    vmap      all tasks at once, `torch.func.vmap` of `torch.func.grad`
    compile   the same under `torch.compile`; needs a C++ compiler, and minutes for the first iteration

The encoder is batched over tasks in each of them. Stand-alone: needs only torch, imports nothing of mmaml.

    python benchmarks/peers_torch.py --engine vmap             # one JSON line
    python benchmarks/peers_torch.py --check                   # vmap agrees with loop, and the loss falls
    python benchmarks/peers_torch.py --check --engine compile  # compile agrees as well
"""

import argparse
import copy
import functools
import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


HIDDEN_LAYERS = 3
ENCODER_WIDTH = 40
INNER_LR, INNER_CLIP = 1e-3, 20.0
META_LR, META_CLIP = 1e-3, 2.0
NOISE = 0.3

Parameters = tuple[Tensor, ...]
InnerGradient = Callable[[Parameters, Tensor, Tensor, Tensor], Parameters]


class Batch(NamedTuple):
    """Support and query sets of a meta-batch, each of shape (tasks, shots, 1); the support is sorted by x."""

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor


def uniform(low: float, high: float, tasks: int) -> Tensor:
    return torch.empty(tasks, 1).uniform_(low, high)


def sample(tasks: int, shots: int) -> Batch:
    """Draw tasks in equal shares from the five families, each with `shots` support and query points."""
    n = tasks // 5
    x = torch.empty(5, n, 2 * shots).uniform_(-5, 5)
    centre, bias = uniform(-3, 3, 3 * n).view(3, n, 1), uniform(-3, 3, 4 * n).view(4, n, 1)
    slope = uniform(-3, 3, 3 * n).view(3, n, 1)
    sign = torch.randint(0, 2, (n, 1)) * 2 - 1
    curves = [
        uniform(0.1, 5, n) * torch.sin(x[0] - uniform(0, math.pi, n)),
        slope[0] * x[1] + bias[0],
        sign * uniform(0.02, 0.15, n) * (x[2] - centre[0]).square() + bias[1],
        slope[1] * torch.tanh(x[3] - centre[1]) + bias[2],
        slope[2] * (x[4] - centre[2]).abs() + bias[3],
    ]
    y = torch.stack(curves) + NOISE * torch.randn_like(x)
    x, y = x.view(tasks, 2 * shots, 1), y.view(tasks, 2 * shots, 1)
    support_x, order = x[:, :shots].sort(dim=1)
    return Batch(support_x, y[:, :shots].gather(1, order), x[:, shots:], y[:, shots:])


class Modulator(nn.Module):
    """Support set to FiLM vectors: a bidirectional LSTM, then a linear head per layer (in one matrix)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.encoder = nn.LSTM(2, ENCODER_WIDTH, num_layers=2, bidirectional=True)
        self.heads = nn.Linear(2 * ENCODER_WIDTH, HIDDEN_LAYERS * 2 * width)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the gains (1 + gamma) and shifts (beta) of each layer, (tasks, layers, 2, width)."""
        outputs, _ = self.encoder(torch.cat([x, y], dim=-1).transpose(0, 1))
        embedding = torch.cat([outputs[-1, :, :ENCODER_WIDTH], outputs[0, :, ENCODER_WIDTH:]], dim=-1)
        gamma, beta = self.heads(embedding).view(-1, HIDDEN_LAYERS, 2, self.width).unbind(2)
        return torch.stack([1 + gamma, beta], dim=2)


class Model(nn.Module):
    """The shared prior of the task network, as weights and biases in turn, and the modulator."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = [1, *[width] * HIDDEN_LAYERS, 1]
        prior = [p for i, o in pairwise(sizes) for p in (0.01 * torch.randn(o, i), torch.zeros(o))]
        self.prior = nn.ParameterList(prior)
        self.modulator = Modulator(width)


def predict(params: Parameters, film: Tensor, x: Tensor) -> Tensor:
    """Apply the modulated task network of one task to points (n, 1)."""
    for layer, vectors in enumerate(film.unbind()):
        gain, shift = vectors.unbind()
        x = F.relu(torch.addcmul(shift, gain, F.linear(x, params[2 * layer], params[2 * layer + 1])))
    return F.linear(x, params[-2], params[-1])


def squared_error(params: Parameters, film: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return (predict(params, film, x) - y).square().mean()


def eager_gradient(params: Parameters, film: Tensor, x: Tensor, y: Tensor) -> Parameters:
    return torch.autograd.grad(squared_error(params, film, x, y), params, create_graph=True)


def query_loss(gradient: InnerGradient, steps: int, params: Parameters, film: Tensor, task: Batch) -> Tensor:
    """Adapt the prior to one task by norm-clipped gradient steps; return the loss on its query set."""
    for _ in range(steps):
        grads = gradient(params, film, task.support_x, task.support_y)
        squared_norm = torch.stack([g.square().sum() for g in grads]).sum()
        rate = (INNER_LR * INNER_CLIP) * squared_norm.clamp(min=INNER_CLIP**2).rsqrt()
        params = tuple(p - rate * g for p, g in zip(params, grads, strict=True))
    return squared_error(params, film, task.query_x, task.query_y)


def loop_backward(model: Model, batch: Batch, steps: int) -> Tensor:
    """Meta-loss and `.grad`, task by task; the graph of a task is freed before the next one."""
    film = model.modulator(batch.support_x, batch.support_y)
    leaves = [f.requires_grad_() for f in film.detach().unbind()]
    params, tasks = tuple(model.prior), len(leaves)
    total = film.new_zeros(())
    for leaf, *task in zip(leaves, *batch, strict=True):
        loss = query_loss(eager_gradient, steps, params, leaf, Batch(*task)) / tasks
        loss.backward()
        total += loss.detach()
    film.backward(torch.stack([leaf.grad for leaf in leaves]))
    return total


def batched_loss(steps: int, params: Parameters, film: Tensor, batch: Batch) -> Tensor:
    """Meta-loss of all tasks at once."""
    task_loss = functools.partial(query_loss, torch.func.grad(squared_error), steps, params)
    return torch.func.vmap(task_loss)(film, batch).mean()


def vmap_backward(model: Model, batch: Batch, steps: int) -> Tensor:
    """Meta-loss and `.grad`, all tasks at once."""
    film = model.modulator(batch.support_x, batch.support_y)
    loss = batched_loss(steps, tuple(model.prior), film, batch)
    loss.backward()
    return loss.detach()


@functools.cache
def compiled_gradient(steps: int) -> Callable[..., tuple[tuple[Parameters, Tensor], Tensor]]:
    """Compile the loss and its gradient in the prior and the FiLM vectors into one graph."""
    return torch.compile(torch.func.grad_and_value(functools.partial(batched_loss, steps), argnums=(0, 1)))


def compile_backward(model: Model, batch: Batch, steps: int) -> Tensor:
    """Meta-loss and `.grad`, all tasks at once, everything but the encoder compiled."""
    film = model.modulator(batch.support_x, batch.support_y)
    params = tuple(p.detach() for p in model.prior)
    (grads, film_grad), loss = compiled_gradient(steps)(params, film.detach(), batch)
    film.backward(film_grad)
    for parameter, grad in zip(model.prior, grads, strict=True):
        parameter.grad = grad
    return loss


ENGINES = {"loop": loop_backward, "vmap": vmap_backward, "compile": compile_backward}


class Trainer:
    """A model, its optimiser and an engine; a call is one meta-iteration and returns the meta-loss."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.model = Model(args.width)
        # One Adam for both parts equals one each, as it works element by element. Fused on CPUs since 2.4.
        fused = torch.__version__ >= (2, 4)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=META_LR, fused=fused)

    def __call__(self) -> Tensor:
        """Sample, differentiate, clip and step."""
        batch = sample(self.args.tasks, self.args.shots)
        self.optimiser.zero_grad(set_to_none=True)
        loss = ENGINES[self.args.engine](self.model, batch, self.args.steps)
        for part in (self.model.prior, self.model.modulator):
            nn.utils.clip_grad_norm_(part.parameters(), META_CLIP, foreach=True)
        self.optimiser.step()
        return loss


def disagreement(model: Model, batch: Batch, steps: int, engine: str) -> dict[str, float]:
    """Return how far an engine is from `loop`, relatively: the loss, and the worst gradient tensor."""
    results = []
    for name in ("loop", engine):
        model.zero_grad(set_to_none=True)
        loss = ENGINES[name](model, batch, steps)
        results.append((loss, [p.grad for p in model.parameters()]))
    (loss, grads), (other_loss, other_grads) = results
    differences = [(g - o).norm() / g.norm() for g, o in zip(grads, other_grads, strict=True)]
    return {"loss": (other_loss / loss - 1).abs().item(), "gradient": torch.stack(differences).max().item()}


def check(args: argparse.Namespace) -> bool:
    """Compare the engines with `loop` before and after training; print what was found and whether it is good.

    After training the meta-gradient is ill-conditioned: `loop` in float32 may be 1e-3 from itself in float64. So
    float64 decides there, with a narrower tolerance, and the difference in float32 is only shown.
    """
    trainer = Trainer(args)
    good, found = True, []
    for iterations in (0, 100):
        losses = [trainer().item() for _ in range(iterations)]
        batch = sample(args.tasks, args.shots)
        for dtype, tolerance in ((torch.float32, 1e-4 if iterations == 0 else None), (torch.float64, 1e-8)):
            model = copy.deepcopy(trainer.model).to(dtype)
            data = Batch(*(points.to(dtype) for points in batch))
            for engine in sorted({"vmap", args.engine} - {"loop"}):
                relative = disagreement(model, data, args.steps, engine)
                good &= tolerance is None or max(relative.values()) < tolerance
                setting = {"engine": engine, "iterations": iterations, "dtype": str(dtype), "tolerance": tolerance}
                found.append(setting | relative)
    first, last = statistics.mean(losses[:10]), statistics.mean(losses[-10:])
    good &= last < first
    print(json.dumps({"ok": good, "first_losses": first, "last_losses": last, "relative": found}, indent=1))
    return good


def time_engine(args: argparse.Namespace) -> None:
    """Time an engine and print one JSON line."""
    trainer = Trainer(args)
    seconds = []
    for _ in range(args.warmup + args.iterations):
        start = time.perf_counter()
        trainer()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds[args.warmup :])
    result = {
        "engine": args.engine,
        "tasks": args.tasks,
        "seconds_per_iteration": median,
        "iterations_per_second": 1 / median,
        "first_iteration_seconds": seconds[0],
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,  # Linux counts in KiB
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(result))


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--engine", choices=ENGINES, default="vmap")
    parser.add_argument("--check", action="store_true", help="compare engines and train, do not time")
    for name, default, text in (
        ("tasks", 125, "tasks a meta-batch, a multiple of 5"),
        ("shots", 5, "support points a task, and as many query points"),
        ("steps", 5, "inner gradient steps"),
        ("width", 100, "units of a hidden layer"),
        ("iterations", 20, "timed meta-iterations"),
        ("warmup", 3, "meta-iterations before the timed ones"),
        ("threads", torch.get_num_threads(), "threads of PyTorch"),
        ("seed", 0, "seed of the model and the tasks"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} (default: {default})")
    args = parser.parse_args()
    if args.tasks % 5:
        parser.error(f"--tasks must be a multiple of 5 (an equal share for each family), not {args.tasks}")
    for name in ("tasks", "shots", "width", "iterations", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1, not {getattr(args, name)}")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.check:
        sys.exit(not check(args))
    time_engine(args)


if __name__ == "__main__":
    main()
