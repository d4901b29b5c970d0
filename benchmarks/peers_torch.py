"""Time one MMAML-FiLM meta-iteration in PyTorch: an independent peer for the speed benchmark.

One iteration is: sample a meta-batch of the 5-mode regression problem, its meta-gradient (second order, through
every inner step), two norm clips and one Adam step. Two engines share all code but the inner gradient:

    loop   one task after another, `torch.autograd.grad(create_graph=True)`: as the reference and most libraries work
    vmap   all tasks at once, `torch.func.vmap` of `torch.func.grad`

The encoder is batched over tasks in both. Stand-alone: needs only torch, imports nothing of mmaml.

    python benchmarks/peers_torch.py --engine vmap            # one JSON line
    python benchmarks/peers_torch.py --check                  # the engines agree and the loss falls
"""

import argparse
import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable
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
    y = torch.stack([
        uniform(0.1, 5, n) * torch.sin(x[0] - uniform(0, math.pi, n)),
        slope[0] * x[1] + bias[0],
        sign * uniform(0.02, 0.15, n) * (x[2] - centre[0]).square() + bias[1],
        slope[1] * torch.tanh(x[3] - centre[1]) + bias[2],
        slope[2] * (x[4] - centre[2]).abs() + bias[3],
    ])  # fmt: skip
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
        prior = [p for i, o in zip(sizes, sizes[1:], strict=False) for p in (0.01 * torch.randn(o, i), torch.zeros(o))]
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


def query_loss(
    gradient: InnerGradient, steps: int, params: Parameters, film: Tensor, task: Batch
) -> Tensor:
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


def vmap_backward(model: Model, batch: Batch, steps: int) -> Tensor:
    """Meta-loss and `.grad`, all tasks at once."""
    film = model.modulator(batch.support_x, batch.support_y)
    params, gradient = tuple(model.prior), torch.func.grad(squared_error)
    losses = torch.func.vmap(lambda f, *task: query_loss(gradient, steps, params, f, Batch(*task)))(film, *batch)
    loss = losses.mean()
    loss.backward()
    return loss.detach()


ENGINES = {"loop": loop_backward, "vmap": vmap_backward}


class Trainer:
    """A model, its optimiser and an engine; a call is one meta-iteration and returns the meta-loss."""

    def __init__(self, args: argparse.Namespace, engine: str) -> None:
        torch.manual_seed(args.seed)
        self.args = args
        self.backward = ENGINES[engine]
        self.model = Model(args.width)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=META_LR, fused=True)

    def __call__(self) -> Tensor:
        batch = sample(self.args.tasks, self.args.shots)
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.backward(self.model, batch, self.args.steps)
        nn.utils.clip_grad_norm_(self.model.prior.parameters(), META_CLIP, foreach=True)
        nn.utils.clip_grad_norm_(self.model.modulator.parameters(), META_CLIP, foreach=True)
        self.optimiser.step()
        return loss
