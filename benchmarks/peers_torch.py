"""Time one MMAML-FiLM meta-iteration in PyTorch: an independent peer for the speed benchmark.

One iteration is: sample a meta-batch of the 5-mode regression problem, its meta-gradient (second order, through
every inner step), two norm clips and one Adam step. The engines differ in the inner gradient and in the batching:

    loop      one task after another, `torch.autograd.grad(create_graph=True)`: as the reference and most libraries do
    vmap      all tasks at once, `torch.func.vmap` of `torch.func.grad`
    compile   the same under `torch.compile`; its first iteration compiles for a minute or two (needs a C++ compiler)

The encoder is batched over tasks in each of them. Stand-alone: needs only torch, imports nothing of mmaml.

    python benchmarks/peers_torch.py --engine vmap            # one JSON line
    python benchmarks/peers_torch.py --check                  # the engines agree and the loss falls
    python benchmarks/peers_torch.py --check --engine compile # the same, and the compiled one agrees too
"""

import argparse
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
    """Draw tasks in equal shares from the five families, with `shots` support and `shots` query points each."""
    n = tasks // 5
    x = torch.empty(5, n, 2 * shots).uniform_(-5, 5)
    centre, bias = uniform(-3, 3, 3 * n).view(3, n, 1), uniform(-3, 3, 4 * n).view(4, n, 1)
    slope = uniform(-3, 3, 3 * n).view(3, n, 1)
    sign = torch.randint(0, 2, (n, 1)) * 2 - 1
    y = torch.stack(
        [
            uniform(0.1, 5, n) * torch.sin(x[0] - uniform(0, math.pi, n)),
            slope[0] * x[1] + bias[0],
            sign * uniform(0.02, 0.15, n) * (x[2] - centre[0]).square() + bias[1],
            slope[1] * torch.tanh(x[3] - centre[1]) + bias[2],
            slope[2] * (x[4] - centre[2]).abs() + bias[3],
        ]
    )
    y = y + NOISE * torch.randn_like(y)
    x, y = x.view(tasks, 2 * shots, 1), y.view(tasks, 2 * shots, 1)
    support_x, order = x[:, :shots].sort(dim=1)
    return Batch(support_x, y[:, :shots].gather(1, order), x[:, shots:], y[:, shots:])


class Modulator(nn.Module):
    """Support set to FiLM vectors: bidirectional LSTM, then one linear head per hidden layer (in one matrix)."""

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
    """Adapt the prior to one task by `steps` norm-clipped gradient steps; return the loss on its query set."""
    for _ in range(steps):
        grads = gradient(params, film, task.support_x, task.support_y)
        squared_norm = torch.stack([g.square().sum() for g in grads]).sum()
        rate = (INNER_LR * INNER_CLIP) * squared_norm.clamp(min=INNER_CLIP**2).rsqrt()
        params = tuple(p - rate * g for p, g in zip(params, grads, strict=True))
    return squared_error(params, film, task.query_x, task.query_y)


def loop_backward(model: Model, batch: Batch, steps: int) -> Tensor:
    """Meta-loss and `.grad`, task by task; each task's graph is freed before the next, to stay small in memory."""
    film = model.modulator(batch.support_x, batch.support_y)
    leaves = [f.requires_grad_() for f in film.detach().unbind()]
    params, tasks = tuple(model.prior), len(leaves)
    total = torch.zeros(())
    for leaf, *task in zip(leaves, *batch, strict=True):
        loss = query_loss(eager_gradient, steps, params, leaf, Batch(*task)) / tasks
        loss.backward()
        total += loss.detach()
    film.backward(torch.stack([leaf.grad for leaf in leaves]))
    return total


def batched_loss(steps: int, params: Parameters, film: Tensor, batch: Batch) -> Tensor:
    """Meta-loss of all tasks at once."""
    gradient = torch.func.grad(squared_error)
    losses = torch.func.vmap(lambda f, *task: query_loss(gradient, steps, params, f, Batch(*task)))(
        film, *batch
    )
    return losses.mean()


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
        # One optimiser for both parts is the same as one each: Adam works element by element.
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=META_LR, fused=True)

    def __call__(self) -> Tensor:
        batch = sample(self.args.tasks, self.args.shots)
        self.optimiser.zero_grad(set_to_none=True)
        loss = ENGINES[self.args.engine](self.model, batch, self.args.steps)
        for part in (self.model.prior, self.model.modulator):
            nn.utils.clip_grad_norm_(part.parameters(), META_CLIP, foreach=True)
        self.optimiser.step()
        return loss


def disagreement(model: Model, batch: Batch, steps: int, engine: str) -> dict[str, float]:
    """Return the relative difference of an engine from `loop`: in the loss, and the worst of any gradient tensor."""
    results = []
    for name in ("loop", engine):
        model.zero_grad(set_to_none=True)
        loss = ENGINES[name](model, batch, steps)
        results.append((loss, [p.grad for p in model.parameters()]))
    (loss, grads), (other_loss, other_grads) = results
    differences = [(g - o).norm() / g.norm() for g, o in zip(grads, other_grads, strict=True)]
    return {"loss": (other_loss / loss - 1).abs().item(), "gradient": torch.stack(differences).max().item()}


def check(args: argparse.Namespace) -> bool:
    """Compare the engines at the start and after training; print what was found and whether it is good."""
    trainer = Trainer(args)
    engines = sorted({"vmap", args.engine} - {"loop"})
    found = {}
    for iteration in (0, 100):
        losses = [trainer().item() for _ in range(iteration)]
        batch = sample(args.tasks, args.shots)
        for engine in engines:
            found[f"{engine}@{iteration}"] = disagreement(trainer.model, batch, args.steps, engine)
    first, last = statistics.mean(losses[:10]), statistics.mean(losses[-10:])
    good = last < first and all(value < 1e-4 for values in found.values() for value in values.values())
    print(json.dumps({"ok": good, "first_losses": first, "last_losses": last, "relative_difference": found}))
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
        "shots": args.shots,
        "steps": args.steps,
        "width": args.width,
        "seconds_per_iteration": median,
        "iterations_per_second": 1 / median,
        "first_iteration_seconds": seconds[0],
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,  # Linux counts in KiB
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=ENGINES, default="vmap")
    parser.add_argument("--tasks", type=int, default=125, help="tasks a meta-batch, a multiple of 5")
    parser.add_argument(
        "--shots", type=int, default=5, help="support points a task, and as many query points"
    )
    parser.add_argument("--steps", type=int, default=5, help="inner gradient steps")
    parser.add_argument("--width", type=int, default=100, help="units of a hidden layer")
    parser.add_argument("--iterations", type=int, default=20, help="timed meta-iterations")
    parser.add_argument("--warmup", type=int, default=3, help="meta-iterations before the timed ones")
    parser.add_argument("--threads", type=int, help="torch.set_num_threads (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--check", action="store_true", help="compare the engines and train, instead of timing"
    )
    args = parser.parse_args()
    if args.tasks < 5 or args.tasks % 5:
        parser.error(f"--tasks must be a positive multiple of 5 (one share a family), not {args.tasks}")
    for name, least in {
        "shots": 1,
        "steps": 0,
        "width": 1,
        "iterations": 1,
        "warmup": 0,
        "threads": 1,
    }.items():
        if getattr(args, name) is not None and getattr(args, name) < least:
            parser.error(f"--{name} must be at least {least}, not {getattr(args, name)}")
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.check:
        sys.exit(not check(args))
    time_engine(args)


if __name__ == "__main__":
    main()
