"""Time one MMAML-FiLM meta-iteration of few-shot image classification in PyTorch: a peer for `images.py`.

One iteration draws a meta-batch of episodes from random images that lie in memory, computes its meta-gradient (second
order, through every inner step) and takes an Adam step. The engines differ in how they differentiate:

    loop    one task after another, `torch.autograd.grad(create_graph=True)`: as the reference and most libraries do
    vmap    many tasks at once, `torch.func.vmap` of `torch.func.grad`

Both add up the gradients of a task, or of `--chunk` tasks, before they begin the next: no graph is kept for longer.
With `--autocast` PyTorch rounds the factors of convolutions and matrix products to bfloat16.
Stand-alone: needs only torch, imports nothing of mmaml.

    python benchmarks/peers_torch_images.py --engine loop --side 84                               # one JSON line
    python benchmarks/peers_torch_images.py --check --side 12 --tasks 4 --chunk 2 --channels 8 8  # see `check`
"""

import argparse
import copy
import functools
import json
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


COLOURS, CLASSES, IMAGES = 3, 64, 20
EMBEDDING = 128
INNER_LR, INNER_CLIP = 0.05, 20.0
META_LR = 1e-3

Parameters = tuple[Tensor, ...]
InnerGradient = Callable[[Parameters, list[Tensor], Tensor, Tensor], Parameters]


class Batch(NamedTuple):
    """Episodes: images (tasks, images, colours, side, side) ordered by class, with labels for any of the tasks."""

    support: Tensor
    query: Tensor
    support_labels: Tensor
    query_labels: Tensor


def random_images(side: int) -> Tensor:
    """Noise around a random pattern for each class, (classes, images, colours, side, side), in bytes."""
    pattern = torch.randint(128, (CLASSES, 1, COLOURS, side, side), dtype=torch.uint8)
    return pattern + torch.randint(128, (CLASSES, IMAGES, COLOURS, side, side), dtype=torch.uint8)


def sample(images: Tensor, tasks: int, way: int, shot: int, queries: int) -> Batch:
    """Draw episodes: classes and images without replacement."""
    classes = torch.rand(tasks, CLASSES).argsort(-1)[:, :way, None]
    chosen = torch.rand(tasks, way, IMAGES).argsort(-1)[:, :, : shot + queries]
    parts = (images[classes, chosen].float() / 255).split([shot, queries], dim=2)
    labels = (torch.arange(way).repeat_interleave(n) for n in (shot, queries))
    return Batch(*(part.flatten(1, 2) for part in parts), *labels)


class Modulator(nn.Module):
    """Support images to FiLM vectors: convolutions, mean over images, a linear head per block."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in pairwise([COLOURS, *channels]):
            norm = nn.BatchNorm2d(o, track_running_stats=False)
            layers += [nn.Conv2d(i, o, 3, stride=2, padding=1), norm, nn.ReLU()]
        out = nn.Linear(channels[-1], EMBEDDING)
        self.encoder = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), out, nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(EMBEDDING, 2 * c) for c in channels)

    def forward(self, support: Tensor) -> list[Tensor]:
        """Return gamma and beta of each block, (2, channels, 1, 1), for one task."""
        embedding = self.encoder(support).mean(0)
        return [head(embedding).view(2, -1, 1, 1) for head in self.heads]


class Model(nn.Module):
    """The shared prior of the task network, as weights and biases in turn, and the modulator."""

    def __init__(self, channels: list[int], way: int) -> None:
        super().__init__()
        shapes = [(o, i, 3, 3) for i, o in pairwise([COLOURS, *channels])] + [(way, channels[-1])]
        prior = [p for s in shapes for p in (nn.init.xavier_uniform_(torch.empty(s)), torch.zeros(s[0]))]
        self.prior = nn.ParameterList(prior)
        self.modulator = Modulator(channels)


def predict(params: Parameters, film: list[Tensor], x: Tensor) -> Tensor:
    """Apply the modulated task network of one task to a set of images, normalised by its own statistics."""
    for block, vectors in enumerate(film):
        x = F.conv2d(x, params[2 * block], params[2 * block + 1], stride=2, padding=1)
        gamma, beta = vectors.unbind()
        x = F.relu(torch.addcmul(beta, 1 + gamma, F.batch_norm(x, None, None, training=True)))
    return F.linear(x.mean((2, 3)), params[-2], params[-1])


def loss_on(params: Parameters, film: list[Tensor], x: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(predict(params, film, x), labels)


def eager_gradient(params: Parameters, film: list[Tensor], x: Tensor, labels: Tensor) -> Parameters:
    return torch.autograd.grad(loss_on(params, film, x, labels), params, create_graph=True)


def query_loss(
    gradient: InnerGradient, model: Model, batch: Batch, steps: int, support: Tensor, query: Tensor
) -> Tensor:
    """Modulate and adapt the prior to one task of the batch; return the loss on its query set."""
    film, params = model.modulator(support), tuple(model.prior)
    for _ in range(steps):
        grads = gradient(params, film, support, batch.support_labels)
        params = tuple(p - INNER_LR * g.clamp(-INNER_CLIP, INNER_CLIP) for p, g in zip(params, grads, strict=True))
    return loss_on(params, film, query, batch.query_labels)


def loop_backward(model: Model, batch: Batch, steps: int, chunk: int) -> Tensor:
    """Meta-loss and `.grad`, task by task."""
    del chunk
    total = torch.zeros(())
    for support, query in zip(batch.support, batch.query, strict=True):
        loss = query_loss(eager_gradient, model, batch, steps, support, query) / len(batch.support)
        loss.backward()
        total = total + loss.detach()
    return total


def vmap_backward(model: Model, batch: Batch, steps: int, chunk: int) -> Tensor:
    """Meta-loss and `.grad`, `chunk` tasks at a time; `vmap(chunk_size=…)` would keep the graphs of all chunks."""
    batched = torch.func.vmap(functools.partial(query_loss, torch.func.grad(loss_on), model, batch, steps))
    total = torch.zeros(())
    for support, query in zip(batch.support.split(chunk), batch.query.split(chunk), strict=True):
        loss = batched(support, query).sum() / len(batch.support)
        loss.backward()
        total = total + loss.detach()
    return total


ENGINES = {"loop": loop_backward, "vmap": vmap_backward}


class Trainer:
    """Images, a model, its optimiser and an engine; a call is one meta-iteration and returns the meta-loss."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.images = random_images(args.side)
        self.model = Model(args.channels, args.way)
        # Fused on CPUs since 2.4.
        fused = torch.__version__ >= (2, 4)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=META_LR, fused=fused)

    def sample(self) -> Batch:
        """Draw a meta-batch."""
        return sample(self.images, self.args.tasks, self.args.way, self.args.shot, self.args.queries)

    def __call__(self) -> Tensor:
        """Sample, differentiate and step."""
        batch = self.sample()
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.args.autocast):
            loss = ENGINES[self.args.engine](self.model, batch, self.args.steps, self.args.chunk)
        self.optimiser.step()
        return loss


def disagreement(model: Model, batch: Batch, steps: int, chunk: int) -> dict[str, float]:
    """Return how far `vmap` is from `loop`, relatively: the loss, and the whole meta-gradient."""
    results = []
    for engine in ENGINES.values():
        model.zero_grad(set_to_none=True)
        loss = engine(model, batch, steps, chunk)
        results.append((loss, torch.cat([p.grad.flatten() for p in model.parameters()])))
    (loss, grad), (other_loss, other_grad) = results
    return {"loss": (other_loss / loss - 1).abs().item(), "gradient": ((grad - other_grad).norm() / grad.norm()).item()}


def check(args: argparse.Namespace) -> bool:
    """Compare the engines before and after training; print what was found and whether it is good.

    float64 decides; how far rounding takes them apart in float32 is only shown.
    """
    trainer = Trainer(args)
    good, found = True, []
    for iterations in (0, 60):
        losses = [trainer().item() for _ in range(iterations)]
        batch = trainer.sample()
        for dtype, tolerance in ((torch.float32, None), (torch.float64, 1e-8)):
            model = copy.deepcopy(trainer.model).to(dtype)
            data = batch._replace(support=batch.support.to(dtype), query=batch.query.to(dtype))
            relative = disagreement(model, data, args.steps, args.chunk)
            good &= tolerance is None or max(relative.values()) < tolerance
            found.append({"iterations": iterations, "dtype": str(dtype), "tolerance": tolerance} | relative)
    first, last = statistics.mean(losses[:10]), statistics.mean(losses[-10:])
    good &= last < first
    print(json.dumps({"ok": good, "first_losses": first, "last_losses": last, "relative": found}, indent=1))
    return good


def time_engine(args: argparse.Namespace) -> None:
    """Time an engine, the best of its iterations, and print one JSON line."""
    trainer = Trainer(args)
    seconds = []
    for _ in range(args.warmup + args.iterations):
        start = time.perf_counter()
        trainer()
        seconds.append(time.perf_counter() - start)
    best = min(seconds[args.warmup :])
    result = {
        "engine": args.engine,
        "autocast": args.autocast,
        "side": args.side,
        "shot": args.shot,
        "chunk": min(args.chunk, args.tasks) if args.engine == "vmap" else 1,
        "seconds_per_iteration": best,
        "iterations_per_second": 1 / best,
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
    parser.add_argument("--autocast", action="store_true", help="round to bfloat16 as PyTorch sees fit")
    parser.add_argument("--channels", type=int, nargs="+", default=[32, 64, 128, 256], help="of each block")
    for name, default, text in (
        ("side", 28, "pixels"),
        ("tasks", 10, "tasks a meta-batch"),
        ("chunk", 10, "tasks at once, with vmap"),
        ("way", 5, "classes of a task"),
        ("shot", 1, "support images a class"),
        ("queries", 15, f"query images a class; with the support images at most {IMAGES}"),
        ("steps", 5, "inner gradient steps"),
        ("iterations", 5, "timed meta-iterations"),
        ("warmup", 1, "meta-iterations before the timed ones"),
        ("threads", torch.get_num_threads(), "threads of PyTorch"),
        ("seed", 0, "seed of the model and the tasks"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} (default: {default})")
    args = parser.parse_args()
    if args.shot + args.queries > IMAGES:
        parser.error(f"--shot and --queries must be at most {IMAGES} together, not {args.shot + args.queries}")
    for name in ("side", "tasks", "chunk", "way", "shot", "queries", "iterations", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1, not {getattr(args, name)}")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.check:
        sys.exit(not check(args))
    time_engine(args)


if __name__ == "__main__":
    main()
