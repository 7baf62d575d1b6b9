"""One R3GAN-recipe training step here and in PyTorch: the same networks, losses and optimizer, timed in turn.

Fields of 32 x 32 points and 3 channels on a periodic grid, residual players of width 64 on four resolutions, batch
32, relativistic pairing with R1 and R2 at every step, Adam (beta1 0, beta2 0.99), averaged generator. Ours is the
training step as `gan.train` calls it, on as many forced devices as there are cores (as the Kuramoto-Sivashinsky
presets train, `training.cpu_devices`) and on one; that of PyTorch is written below with its own best means (double
backward by autograd, fused foreach Adam and averages), in both of its memory layouts. That both do the same mathematics
is seen from the relative difference of the gradients of both players' losses at the same parameters, data and latents.

Then the training step of the Kuramoto-Sivashinsky demo on one device with one thread or several, and on several forced
devices under `pmap`.

    pip install torch==2.13.0     # the CPU build; without it only ours is timed
    python benchmarks/training_step.py [--rounds 15]

Every side's memory is measured in a process of its own, with glibc's allocator as it comes, in two ways: what three
steps need at most above a process at rest, which has made three steps and handed freed memory back; and the largest
resident size in the first three steps above that before them, which holds the loading of a compiled program too.
Writes benchmarks/results/training_step.json and docs/performance.md.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

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
from performance_page import write_page

from experiments import catalog
from experiments.files import write_json
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, Recipe, SolverLayerConfig, TrainingConfig
from gan.game import GeneratedBatch
from gan.training.loop import Trainer
from gan.training.problem import Problem

RESULTS = Path(__file__).resolve().parent / "results" / "training_step.json"
SIDE, CHANNELS, WIDTH, LEVELS, LATENT, BATCH = 32, 3, 64, 4, 64, 32
RATE, BETA, WEIGHT, HALF_LIFE = 2e-4, 0.99, 0.01, 10_000.0
SLOPE, GAIN = 0.2, np.sqrt(2.0 / (1.0 + 0.2**2))
RECIPE = Recipe(
    network=NetworkConfig(width=WIDTH, levels=LEVELS, blocks=1, latent=LATENT),
    game=GameConfig(r1=WEIGHT, r2=WEIGHT),
    optimizer=OptimizerConfig(
        generator_rate=RATE,
        discriminator_rate=RATE,
        schedule="constant",
        beta2=BETA,
        beta2_final=BETA,
        update_limit=0.0,
        average_half_life=HALF_LIFE,
    ),
    solver_layer=SolverLayerConfig(),
    training=TrainingConfig(batch=BATCH),
)


def pictures() -> np.ndarray:
    """Smooth random fields, (1024, 32, 32, 3)."""
    rng = np.random.default_rng(0)
    waves = np.fft.fftfreq(SIDE, 1 / SIDE)
    damping = np.exp(-0.05 * (waves[:, None] ** 2 + waves[None, :] ** 2))[None, :, :, None]
    noise = np.fft.fft2(rng.standard_normal((1024, SIDE, SIDE, CHANNELS)), axes=(1, 2))
    fields = np.fft.ifft2(noise * damping, axes=(1, 2)).real
    return (fields / fields.std()).astype(np.float32)


class Ours:
    """The training step of this project, under ``pmap`` on every device or on one."""

    def __init__(self, devices: int = 0) -> None:
        recipe = replace(RECIPE, training=replace(RECIPE.training, devices=devices))
        self.trainer = Trainer(Problem(train=pictures()), recipe, tempfile.mkdtemp())
        self.state = self.trainer.state
        self.batch = self.trainer.next_batch((0, 0))

    def step(self) -> None:
        """Make one update of both players."""
        self.state, metrics = self.trainer.step(self.state, *self.batch)
        jax.block_until_ready((self.state, metrics))

    def gradients(self, players: Any, real: np.ndarray, latent: np.ndarray) -> tuple[Any, Any]:
        """Return the gradients of both losses at given parameters, data and latents."""
        networks, game, key = self.trainer.networks, self.trainer.game, jax.random.key(0)

        # Everything is an argument: what is constant to a compiled program, the compiler evaluates itself, slowly.
        def draw(params: Any, players: Any, real: Any, latent: Any) -> GeneratedBatch:
            samples = networks.generate(params, players.generator.state, latent)[None]
            valid, place = jnp.ones((1, BATCH), bool), jnp.arange(BATCH)
            return GeneratedBatch(samples, real, {}, valid, place, jnp.zeros(()))

        def generator(params: Any, players: Any, *given: Any) -> Any:
            theirs = players.discriminator
            return game.generator_loss(theirs.params, theirs.state, draw(params, players, *given), key)

        def discriminator(params: Any, players: Any, *given: Any) -> Any:
            seen = draw(players.generator.params, players, *given)
            judged = game.discriminator_loss(params, players.discriminator.state, seen, key)
            return judged.adversarial + judged.own

        return (
            jax.jit(jax.grad(generator))(players.generator.params, players, real, latent),
            jax.jit(jax.grad(discriminator))(players.discriminator.params, players, real, latent),
        )


class Torch:
    """The same players and step in PyTorch.

    Parameters are named by their place in ours, kernels as (outputs, inputs, height, width).
    """

    def __init__(self, players: Any, normalizer: Any, layout: str) -> None:
        import torch

        self.torch = torch
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.format = torch.channels_last if layout == "channels last" else torch.contiguous_format

        def tensors(params: Any) -> dict[str, Any]:
            return {name: torch.nn.Parameter(self._tensor(value).clone()) for name, value in named(params).items()}

        self.generator, self.discriminator = (tensors(player.params) for player in players)
        self.average = [p.detach().clone() for p in self.generator.values()]
        options: dict[str, Any] = {"lr": RATE, "betas": (0.0, BETA), "eps": 1e-8, "foreach": True}
        self.optimizers = [torch.optim.Adam(list(p.values()), **options) for p in (self.generator, self.discriminator)]
        self.mean, self.std = (
            torch.tensor(np.asarray(x, np.float32)).reshape(1, -1, 1, 1) for x in (normalizer.mean, normalizer.std)
        )
        self.real = self._field(pictures()[:BATCH])

    def _tensor(self, value: np.ndarray) -> Any:
        value = np.asarray(value)
        if value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        tensor = self.torch.tensor(np.ascontiguousarray(value))
        return tensor.to(memory_format=self.format) if value.ndim == 4 else tensor

    def _field(self, value: np.ndarray) -> Any:
        return self.torch.tensor(np.ascontiguousarray(np.moveaxis(value, -1, 1))).to(memory_format=self.format)

    def _convolve(self, x: Any, p: dict[str, Any], name: str) -> Any:
        functional, kernel = self.torch.nn.functional, p[f"{name}.kernel"]
        if kernel.shape[-1] > 1:
            x = functional.pad(x, (1, 1, 1, 1), mode="circular")
        return functional.conv2d(x, kernel, p[f"{name}.bias"])

    def _act(self, x: Any) -> Any:
        return self.torch.nn.functional.leaky_relu(x, SLOPE) * GAIN

    def _stage(self, x: Any, p: dict[str, Any], level: int) -> Any:
        name = f"stages.{level}.0"
        inner = self._convolve(self._act(x), p, f"{name}.first")
        return x + self._convolve(self._act(inner), p, f"{name}.second")

    def _up(self, x: Any) -> Any:
        functional = self.torch.nn.functional
        padded = functional.pad(x, (1, 1, 1, 1), mode="circular")
        return functional.interpolate(padded, scale_factor=2, mode="bilinear")[:, :, 2:-2, 2:-2]

    def _down(self, x: Any) -> Any:
        # (1, 3, 3, 1)/8 along both axes is three means of two neighbours.
        functional = self.torch.nn.functional
        x = functional.pad(x, (1, 1, 1, 1), mode="circular")
        return functional.avg_pool2d(functional.avg_pool2d(functional.avg_pool2d(x, 2, 1), 2, 1), 2, 2)

    def generate(self, latent: Any) -> Any:
        """Latents (batch, 64) to fields in physical units."""
        p, coarse = self.generator, SIDE // 2 ** (LEVELS - 1)
        x = latent @ p["root.kernel"] + p["root.bias"]
        x = x.reshape(-1, coarse, coarse, WIDTH).permute(0, 3, 1, 2).contiguous(memory_format=self.format)
        for level in range(LEVELS):
            x = self._stage(self._up(x) if level else x, p, level)
        return self._convolve(x, p, "head") * self.std + self.mean

    def classify(self, x: Any) -> Any:
        """Fields in physical units to logits."""
        return self.classify_normalized((x - self.mean) / self.std)

    def classify_normalized(self, x: Any) -> Any:
        """Normalised fields to logits."""
        p = self.discriminator
        x = self._convolve(x, p, "entry")
        for level in range(LEVELS):
            x = self._stage(self._down(x) if level else x, p, level)
        features = self._act(x).permute(0, 2, 3, 1).reshape(len(x), -1)
        return (features @ p["head.kernel"] + p["head.bias"])[:, 0]

    def discriminator_loss(self, real: Any, fake: Any) -> Any:
        """Relativistic loss with R1 and R2, by a double backward pass."""
        torch = self.torch
        both = (torch.cat([real, fake]) - self.mean) / self.std
        both = both.detach().requires_grad_()
        logits = self.classify_normalized(both)
        (gradient,) = torch.autograd.grad(logits.sum(), both, create_graph=True)
        gamma = WEIGHT * SIDE * SIDE * CHANNELS
        count = len(real)
        penalty = 0.5 * gamma * gradient.square().sum((1, 2, 3)).sum() / count
        return torch.nn.functional.softplus(logits[count:] - logits[:count]).mean() + penalty

    def generator_loss(self, real: Any, fake: Any) -> Any:
        """Relativistic loss of the generator."""
        logits = self.classify(self.torch.cat([real, fake]))
        return self.torch.nn.functional.softplus(logits[: len(real)] - logits[len(real) :]).mean()

    def step(self) -> None:
        """Make one update of both players."""
        torch = self.torch
        with torch.no_grad():
            fake = self.generate(torch.randn(BATCH, LATENT))
        self._move(1, self.discriminator_loss(self.real, fake))
        self._move(0, self.generator_loss(self.real, self.generate(torch.randn(BATCH, LATENT))))
        share = 1 - 0.5 ** (BATCH / HALF_LIFE)
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.generator.values()), share)

    def _move(self, player: int, loss: Any) -> None:
        mine = list((self.generator, self.discriminator)[player].values())
        for parameter, gradient in zip(mine, self.torch.autograd.grad(loss, mine)):
            parameter.grad = gradient
        self.optimizers[player].step()

    def gradients(self, real: np.ndarray, latent: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the gradients of both losses, named and laid out as ours."""
        field, z = self._field(real), self.torch.tensor(latent)
        generated = self.generator_loss(field, self.generate(z))
        judged = self.discriminator_loss(field, self.generate(z).detach())
        found = []
        for loss, params in ((generated, self.generator), (judged, self.discriminator)):
            gradients = self.torch.autograd.grad(loss, list(params.values()))
            arrays = [g.numpy().transpose(2, 3, 1, 0) if g.ndim == 4 else g.numpy() for g in gradients]
            found.append(dict(zip(params, arrays)))
        return found[0], found[1]


def named(params: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a tree by the names on their way, joined by dots."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return {".".join(str(part.key) for part in where): np.asarray(leaf) for where, leaf in leaves}


def sides() -> list[str]:
    """Return what can be timed here."""
    try:
        version("torch")
    except PackageNotFoundError:
        print("torch is not installed and left out")
        return ["ours", "ours, one device"]
    return ["ours", "ours, one device", "torch", "torch, channels last"]


def side(name: str, ours: Ours) -> Any:
    """Build one side with the parameters of ours."""
    if name == "ours":
        return ours
    if name == "ours, one device":
        return Ours(1)
    return Torch(ours.state.players, ours.trainer.networks.normalizer, name.partition(", ")[2])


def difference(ours: Ours, layout: str) -> float:
    """Return the largest relative difference of both losses' gradients, away from the zeros of the first step."""
    rng = np.random.default_rng(0)

    def moved(leaf: Any) -> Any:
        return jnp.asarray(leaf + 0.02 * rng.standard_normal(leaf.shape), jnp.float32)

    players = ours.state.players
    players = type(players)(*(player._replace(params=jax.tree.map(moved, player.params)) for player in players))
    real, latent = pictures()[:BATCH], rng.standard_normal((BATCH, LATENT)).astype(np.float32)
    theirs = Torch(players, ours.trainer.networks.normalizer, layout).gradients(real, latent)
    worst = 0.0
    for mine, other in zip(map(named, ours.gradients(players, real, latent)), theirs):
        length = np.sqrt(sum(np.sum(value**2) for value in mine.values()))
        worst = max(worst, float(np.sqrt(sum(np.sum((mine[k] - other[k]) ** 2) for k in mine)) / length))
    return worst


def timed(rounds: int) -> dict[str, Any]:
    """Time every side in turn, so that a busy moment of the machine meets all."""
    ours = Ours()
    apart = {name: difference(ours, name.partition(", ")[2]) for name in sides() if not name.startswith("ours")}
    every = {name: side(name, ours) for name in sides()}
    seconds: dict[str, list[float]] = {name: [] for name in every}
    busy: dict[str, list[float]] = {name: [] for name in every}
    for name in every:
        every[name].step()
    for turn in range(rounds):
        for name in list(every) if turn % 2 == 0 else list(every)[::-1]:
            began, worked = time.perf_counter(), time.process_time()
            every[name].step()
            seconds[name].append(time.perf_counter() - began)
            busy[name].append(time.process_time() - worked)
    rows = {}
    for name in every:
        quartiles = np.quantile(seconds[name], [0.25, 0.5, 0.75]).tolist()
        rows[name] = {
            **dict(zip(("q25", "median", "q75"), quartiles)),
            "processor seconds": float(np.median(busy[name])),
            "ours over theirs": float(np.median(seconds["ours"]) / quartiles[1]),
            "difference": apart.get(name, 0.0),
        }
    return rows


def resident(what: str) -> int:
    """Return bytes of this process: VmRSS, now, or VmHWM, at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(what)).split()[1])


def memory(name: str) -> tuple[int, int]:
    """Return the bytes that three steps of one side take at most: of a process at rest, and of one before its first."""
    one = side(name, Ours(1 if name == "ours, one device" else 0))
    before = resident("VmRSS")
    for _ in range(3):
        one.step()
    first = resident("VmHWM") - before
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    rest = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back to VmRSS: proc(5)
    for _ in range(3):
        one.step()
    return resident("VmHWM") - rest, first


def demo_step(devices: int, steps: int = 25) -> float:
    """Return the median seconds of a training step of the Kuramoto-Sivashinsky demo on as many devices."""
    from experiments.tasks.advance import solver_layer

    experiment = catalog.load("kuramoto_sivashinsky")
    config = experiment.presets["convolutional"]
    system = experiment.task.system(config)
    fields = np.random.default_rng(0).standard_normal((1024, *system.field_shape)).astype(np.float32)
    problem = Problem(
        train=fields - fields.mean(axis=1, keepdims=True),
        symmetries=system.symmetries,
        solver_layer=solver_layer(system, config.solver_layer.steps),
        extent=system.grid.extent,
    )
    trainer = Trainer(problem, config, tempfile.mkdtemp())
    assert len(trainer.devices) == devices
    state, batch, seconds = trainer.state, trainer.next_batch((0, 0)), []
    for _ in range(steps):
        began = time.perf_counter()
        state, _ = jax.block_until_ready(trainer.step(state, *batch))
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[5:]))


def asked_of_a_child(arguments: list[str], cores: list[int], devices: int = 1, **environment: str) -> list[float]:
    """Run this script in a process of its own, on some cores and forced devices, and read the numbers it prints."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    command = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, __file__, *arguments]
    done = subprocess.run(
        command,
        env={**os.environ, "XLA_FLAGS": flags.strip(), **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [float(word) for word in done.stdout.splitlines()[-1].split()]


def demo_steps(rounds: int) -> dict[str, list[float]]:
    """Time the demo's step in every arrangement of the cores that there are, in turn."""
    cores = CORES
    arrangements = {"one device, one core": (cores[:1], 1)}
    if len(cores) > 1:
        arrangements[f"one device, {len(cores)} cores"] = (cores, 1)
        arrangements[f"{len(cores)} devices, {len(cores)} cores"] = (cores, len(cores))
    seconds: dict[str, list[float]] = {name: [] for name in arrangements}
    for _ in range(rounds):
        for name, (some, devices) in arrangements.items():
            seconds[name] += asked_of_a_child(["--demo-step", str(devices)], some, devices)
    return seconds


def main() -> None:
    """Measure, print the tables, write the JSON and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="timed steps of every side (at least 15 to publish)")
    parser.add_argument("--demo-rounds", type=int, default=3, help="processes for every arrangement (0: none)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file that the numbers are written to")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--demo-step", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        print(*memory(arguments.memory_of))
        return
    if arguments.demo_step:
        print(demo_step(arguments.demo_step))
        return
    rows = timed(arguments.rounds)
    cores = CORES
    for name, row in rows.items():
        # The first process may compile, which takes more memory than the step; the second one loads the program.
        devices = len(cores) if name == "ours" else 1
        # PyTorch needs less where freed memory is not kept, ours the same: the allocator is left as glibc has it.
        asked_for = ["--memory-of", name]
        runs = [asked_of_a_child(asked_for, cores, devices, MALLOC_PERTURB_="0") for _ in range(2)]
        row["bytes"], row["bytes with the program"] = runs[1]
        print(
            "{name:22s} {median:.3f} s ({q25:.3f}-{q75:.3f}), {busy:.3f} processor s, ours over theirs {ratio:.2f}, "
            "{bytes:.0f} MB, difference {difference:.1e}".format(
                name=name,
                busy=row["processor seconds"],
                ratio=row["ours over theirs"],
                **{key: row[key] / (1e6 if key == "bytes" else 1) for key in ("median", "q25", "q75", "bytes")},
                difference=row["difference"],
            ),
            flush=True,
        )
    demo = demo_steps(arguments.demo_rounds)
    for name, seconds in demo.items():
        print(f"demo step, {name}: {', '.join(f'{1e3 * s:.0f}' for s in seconds)} ms")
    packages = [name for name in ("jax", "jaxlib", "torch") if name != "torch" or len(rows) > 1]
    found = {
        "machine": {
            "cores": len(cores),
            "platform": f"{platform.system()} {platform.machine()}",
            "load": os.getloadavg()[0],
        },
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "rounds": arguments.rounds,
        "sides": rows,
        "demo": demo,
    }
    arguments.results.parent.mkdir(exist_ok=True)
    write_json(arguments.results, found)
    if arguments.results == RESULTS:
        write_page()


if __name__ == "__main__":
    main()
