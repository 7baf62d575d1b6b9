"""Adaptive competitive gradient descent here, in CGDs (PyTorch) and in jax-cgd: the same step, timed in turn.

The same networks, first parameters, data, latents, float32, step sizes (1e-3, beta 0.99, eps 1e-5) and relative
tolerance of the linear solve (1e-4) on every side; conjugate gradients everywhere. That all three do the same
mathematics is seen from the relative difference of their first steps. One table on the terminal, the same numbers with
machine and versions in benchmarks/results/competitive_against_peers.json, and docs/performance.md. The peers are not
among the project's dependencies:

    pip install torch==2.13.0 CGDs==0.4.5 jax-cgd==1.0.4
    python benchmarks/competitive_against_peers.py [--steps 15] [--cases dense convolutional strided]

A peer that is not installed is left out, and said to be.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from experiments import environment

CORES = sorted(os.sched_getaffinity(0))
if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={len(CORES)}".strip()
    )
environment.prepare()

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from performance_page import write_page

from experiments.files import write_json
from gan import Batch, Competitive, DiscriminatorLoss, Game, GeneratedBatch, Player, Players, objective
from gan.networks.dcgan import doubled, halved
from gan.optimizers.step_sizes import adaptive_steps

RESULTS = Path(__file__).parent / "results" / "competitive_against_peers.json"
RATE, BETA, TOLERANCE, MOST = 1e-3, 0.99, 1e-4, 500
GOAL = 0.5


class Case(NamedTuple):
    """Parameters of both players as lists of arrays (convolutions as height, width, in, out), data and latents.

    ``budget`` is that of our solve: an unrolled one (convolutions on a CPU) is paid in full, so it is the smallest that
    still reached the tolerance at every step.
    """

    generator: list[np.ndarray]
    discriminator: list[np.ndarray]
    real: np.ndarray
    latent: np.ndarray
    budget: int


def cases() -> dict[str, Case]:
    """Every case by its name in the table."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        fan = np.prod(shape[:-1])
        return (rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    dense = Case(
        [weights(32, 256), weights(256, 256), weights(256, 256), weights(256, 2)],
        [weights(2, 256), weights(256, 256), weights(256, 256), weights(256, 1)],
        normal(256, 2),
        normal(256, 32),
        MOST,
    )
    convolutional = Case(
        [weights(64, 4 * 4 * 64), weights(3, 3, 64, 64), weights(3, 3, 64, 32), weights(3, 3, 32, 3)],
        [weights(3, 3, 3, 32), weights(3, 3, 32, 64), weights(3, 3, 64, 64), weights(4 * 4 * 64, 1)],
        np.tanh(normal(32, 32, 32, 3)),
        normal(32, 64),
        15,
    )
    strided = Case(
        [weights(64, 4 * 4 * 64), weights(4, 4, 64, 64), weights(4, 4, 64, 32), weights(4, 4, 32, 3)],
        [weights(4, 4, 3, 32), weights(4, 4, 32, 64), weights(4, 4, 64, 64), weights(4 * 4 * 64, 1)],
        np.tanh(normal(32, 32, 32, 3)),
        normal(32, 64),
        11,
    )
    return {"dense": dense, "convolutional": convolutional, "strided": strided}


LAYOUT = ("NHWC", "HWIO", "NHWC")


def generate(params: list[Any], latent: Any) -> Any:
    """Samples of the generator, by jax.

    Dense layers, or a dense one and either convolutions (3 x 3) after repetition or transposed ones (4 x 4), stride 2,
    these as the project's networks write them.
    """
    x = latent @ params[0]
    if params[1].ndim == 4:
        x = x.reshape(-1, 4, 4, params[1].shape[2])
    for kernel in params[1:]:
        x = jax.nn.leaky_relu(x, 0.2)
        if kernel.shape[0] == 3:
            x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
            x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)
        elif kernel.ndim == 4:
            x = doubled(x, kernel, ("zero", "zero"))
        else:
            x = x @ kernel
    return jnp.tanh(x) if x.ndim == 4 else x


def classify(params: list[Any], x: Any) -> Any:
    """Logits of the discriminator, by jax: dense layers, after convolutions (3 x 3, then means; or 4 x 4, stride 2)."""
    for index, kernel in enumerate(params):
        x = jax.nn.leaky_relu(x, 0.2) if index else x
        if kernel.shape[0] == 3:
            x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)
            x = x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean((2, 4))
        elif kernel.ndim == 4:
            x = halved(x, kernel, ("zero", "zero"))
        else:
            x = x.reshape(x.shape[0], -1) @ kernel
    return x[:, 0]


class Side:
    """One implementation: ``step()`` makes one update and waits for it, ``point()`` is all parameters in one vector."""

    step: Callable[[], None]
    point: Callable[[], np.ndarray]
    solved: dict[str, float]


class Ours(Side):
    """The game optimizer of this project, as the training step calls it: on a device for every core.

    That is how a training with ``training.cpu_devices`` runs: the batch is shared, products are averaged over devices.
    """

    devices = len(CORES)

    def __init__(self, case: Case):
        losses, axis = objective("minimax"), "data"

        def draw(params: Any, state: Any, batch: Batch, key: Any) -> tuple[GeneratedBatch, Any]:
            valid = jnp.ones((1, batch.place.shape[0]), bool)
            samples = generate(params, batch.condition["latent"])
            return GeneratedBatch(samples, batch.real, {}, valid, batch.place, batch.progress), state

        def judged(params: Any, state: Any, seen: GeneratedBatch, key: Any) -> DiscriminatorLoss:
            count = seen.real.shape[0]
            logits = classify(params, jnp.concatenate([seen.real, seen.samples]))
            loss = losses.discriminator(logits[:count], logits[count:], jnp.ones(count))
            return DiscriminatorLoss(loss, jnp.zeros(()), {}, state)

        def generator_loss(params: Any, state: Any, seen: GeneratedBatch, key: Any) -> Any:
            fake = classify(params, seen.samples)
            return losses.generator(fake, fake, jnp.ones_like(fake))

        sizes = adaptive_steps(optax.constant_schedule(RATE), optax.constant_schedule(BETA))
        optimizer = Competitive(sizes, sizes, iterations=case.budget, tolerance=TOLERANCE)
        game = Game(draw, judged, generator_loss, {}, zero_sum=True)
        key, mesh = jax.random.key(0), jax.make_mesh((self.devices,), (axis,), axis_types=(AxisType.Auto,))
        everywhere, shares = (NamedSharding(mesh, spec) for spec in (PartitionSpec(), PartitionSpec(None, axis)))
        batch = Batch(
            jax.device_put(case.real[None], shares),
            {"latent": jax.device_put(case.latent[None], shares)},
            jax.device_put(np.arange(len(case.real))[None], shares),
            jax.device_put(np.zeros(1, np.float32), everywhere),
        )

        def update(players: Players, state: Any, batch: Batch) -> Any:
            return optimizer.update(game, players, state, batch, key, axis)

        whole, shared = PartitionSpec(), PartitionSpec(None, axis)
        places = (whole, whole, Batch(shared, shared, shared, whole))
        self._update = jax.jit(
            jax.shard_map(update, mesh=mesh, in_specs=places, out_specs=whole, check_vma=False), donate_argnums=(0, 1)
        )
        players = Players(*(Player([jnp.asarray(w) for w in p], {}) for p in (case.generator, case.discriminator)))
        # Where a step leaves them, so that the second step is not compiled anew.
        self._players, self._state = jax.device_put((players, optimizer.init(players)), everywhere)
        self._batch, self.solved = batch, {"iterations": 0.0, "residual": 0.0}

    def step(self) -> None:
        """Make one update."""
        self._players, self._state, metrics = jax.block_until_ready(
            self._update(self._players, self._state, self._batch)
        )
        for name, seen in self.solved.items():
            self.solved[name] = max(seen, float(metrics[f"inner_{name}"]))

    def point(self) -> np.ndarray:
        """Return all parameters in one vector."""
        leaves = [*self._players.generator.params, *self._players.discriminator.params]
        return np.concatenate([np.ravel(leaf) for leaf in leaves])


class OnOneDevice(Ours):
    """The same on one device, whose threads share the work of single operations."""

    devices = 1


class JaxCgd(Side):
    """jax-cgd's ACGD: x minimises f, y maximises it; solved for x."""

    def __init__(self, case: Case):
        from jax_cgd.acgd import ACGD
        from jax_cgd.solvers import CG

        real, latent = jnp.asarray(case.real), jnp.asarray(case.latent)

        def value(x: Any, y: Any) -> Any:
            logits = classify(y, jnp.concatenate([real, generate(x, latent)]))
            return -jnp.mean(jax.nn.softplus(-logits[: len(real)])) - jnp.mean(jax.nn.softplus(logits[len(real) :]))

        players = [[jnp.asarray(w) for w in player] for player in (case.generator, case.discriminator)]
        solver = CG(tol=TOLERANCE, atol=0.0, max_iter=MOST)
        self._optimizer = ACGD(*players, value, lr=RATE, beta=BETA, eps=1e-5, solver=solver)
        self.solved = {}

    def step(self) -> None:
        """Make one update."""
        self._optimizer.step()
        jax.block_until_ready((self._optimizer.x_params, self._optimizer.y_params))

    def point(self) -> np.ndarray:
        """Return all parameters in one vector."""
        return np.concatenate([self._optimizer.x_params, self._optimizer.y_params])


class Cgds(Side):
    """CGDs' ACGD in PyTorch, which asks for the square of the relative tolerance."""

    def __init__(self, case: Case):
        import torch
        from CGDs import ACGD

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        functional = torch.nn.functional

        def parameter(w: np.ndarray, transposed: bool) -> Any:
            if w.ndim == 4:
                w = w.transpose(2, 3, 0, 1) if transposed and w.shape[0] == 4 else w.transpose(3, 2, 0, 1)
            return torch.nn.Parameter(torch.tensor(np.ascontiguousarray(w)))

        x = [parameter(w, True) for w in case.generator]
        y = [parameter(w, False) for w in case.discriminator]
        picture = case.real.ndim == 4
        real = torch.tensor(np.moveaxis(case.real, -1, 1).copy() if picture else case.real)
        latent = torch.tensor(case.latent)

        def fields() -> Any:
            h = latent @ x[0]
            if picture:
                h = h.reshape(-1, 4, 4, h.shape[1] // 16).permute(0, 3, 1, 2)
            for kernel in x[1:]:
                h = functional.leaky_relu(h, 0.2)
                if kernel.shape[-1] == 3 and kernel.ndim == 4:
                    h = functional.conv2d(functional.interpolate(h, scale_factor=2), kernel, padding=1)
                elif kernel.ndim == 4:
                    h = functional.conv_transpose2d(h, kernel, stride=2, padding=1)
                else:
                    h = h @ kernel
            return torch.tanh(h) if picture else h

        def value() -> Any:
            h = torch.cat([real, fields()])
            for index, kernel in enumerate(y):
                h = functional.leaky_relu(h, 0.2) if index else h
                if kernel.ndim == 4 and kernel.shape[-1] == 3:
                    h = functional.avg_pool2d(functional.conv2d(h, kernel, padding=1), 2)
                elif kernel.ndim == 4:
                    h = functional.conv2d(h, kernel, stride=2, padding=1)
                else:
                    h = (h.permute(0, 2, 3, 1) if h.ndim == 4 else h).reshape(h.shape[0], -1) @ kernel
            count = len(real)
            return -functional.softplus(-h[:count, 0]).mean() - functional.softplus(h[count:, 0]).mean()

        self._params, self._value, self.solved = (x, y), value, {"iterations": 0.0}
        options = {"lr_max": RATE, "lr_min": RATE, "eps": 1e-5, "beta": BETA, "tol": TOLERANCE**2, "atol": 0.0}
        self._optimizer = ACGD(max_params=y, min_params=x, collect_info=True, **options)

    def step(self) -> None:
        """Make one update."""
        self._optimizer.zero_grad()
        self._optimizer.step(loss=self._value())
        iterations = float(self._optimizer.get_info()["iter_num"])
        self.solved["iterations"] = max(self.solved["iterations"], iterations)

    def point(self) -> np.ndarray:
        """Return all parameters in one vector."""
        leaves = []
        for transposed, player in zip((True, False), self._params):
            for parameter in player:
                w = parameter.detach().numpy()
                if w.ndim == 4:
                    w = w.transpose(2, 3, 0, 1) if transposed and w.shape[-1] == 4 else w.transpose(2, 3, 1, 0)
                leaves.append(np.ravel(w))
        return np.concatenate(leaves)


SIDES: dict[str, tuple[str, type]] = {
    "ours": ("jax", Ours),
    "ours, one device": ("jax", OnOneDevice),
    "CGDs": ("CGDs", Cgds),
    "jax-cgd": ("jax-cgd", JaxCgd),
}


def installed(package: str) -> bool:
    """Whether a package is there."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def measure(case: Case, names: list[str], steps: int) -> dict:
    """Seconds per step of every side, in turn so that a busy moment of the machine meets all."""
    sides = {name: SIDES[name][1](case) for name in names}
    start = sides["ours"].point()
    first = {}
    for name, side in sides.items():
        side.step()
        first[name] = side.point() - start
    length = np.linalg.norm(first["ours"])
    seconds: dict[str, list[float]] = {name: [] for name in names}
    busy: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(steps):
        for name in names if turn % 2 == 0 else names[::-1]:
            began, worked = time.perf_counter(), time.process_time()
            sides[name].step()
            seconds[name].append(time.perf_counter() - began)
            busy[name].append(time.process_time() - worked)
    rows = {}
    for name in names:
        quartiles = np.quantile(seconds[name], [0.25, 0.5, 0.75]).tolist()
        rows[name] = {
            **dict(zip(("q25", "median", "q75"), quartiles)),
            "ours over theirs": float(np.median(seconds["ours"]) / quartiles[1]),
            # What a busy machine leaves comparable, on one core: on several, threads that wait count too.
            "processor seconds": float(np.median(busy[name])),
            "difference of the first step": float(np.linalg.norm(first[name] - first["ours"]) / length),
            "most": sides[name].solved,
        }
    return {"sides": rows, "steps": steps, "tolerance": TOLERANCE, "goal": GOAL, "budget": case.budget}


def main() -> None:
    """Measure, print the table, write the JSON."""
    known = cases()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=15, help="timed steps of every side (at least 15 to publish)")
    parser.add_argument("--cases", nargs="+", choices=list(known), default=list(known), help="cases to run")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file that the numbers are written to")
    parser.add_argument("--peers", nargs="+", choices=list(SIDES)[1:], default=list(SIDES)[1:], help="peers to run")
    chosen = parser.parse_args()
    wanted = ["ours", *chosen.peers]
    names = [name for name in wanted if installed(SIDES[name][0])]
    for name in set(wanted) - set(names):
        print(f"{name} is not installed and left out")
    rows = {}
    head = f"{'case':14s} {'side':8s} {'s per step':>26s} {'processor s':>11s} {'ours / theirs':>13s}"
    print(head + f" {'first step':>10s}  most in a solve")
    for label in chosen.cases:
        rows[label] = measure(known[label], names, chosen.steps)
        for name, row in rows[label]["sides"].items():
            spread = "{median:.4f} ({q25:.4f}-{q75:.4f})".format(**row)
            most = ", ".join(f"{key} {value:.3g}" for key, value in row["most"].items())
            ratio, apart = row["ours over theirs"], row["difference of the first step"]
            busy = row["processor seconds"]
            print(f"{label:14s} {name:8s} {spread:>26s} {busy:11.4f} {ratio:13.2f} {apart:10.1e}  {most}", flush=True)
        reached = rows[label]["sides"]["ours"]["most"]["residual"]
        if reached > TOLERANCE:
            print(f"{label}: not an equal comparison, our residual reached {reached:.1e}: raise the case's budget")
    machine = {"cores": len(os.sched_getaffinity(0)), "machine": platform.machine(), "load": os.getloadavg()[0]}
    packages = ("jax", "jaxlib", "optax", "torch", "CGDs", "jax-cgd")
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages if installed(name)}
    chosen.results.parent.mkdir(exist_ok=True)
    write_json(chosen.results, {"machine": machine, "versions": versions, "cases": rows})
    if chosen.results == RESULTS:
        write_page()


if __name__ == "__main__":
    main()
