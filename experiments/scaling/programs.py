"""The parts of an update as compiled programs of their own, on the same devices and shapes as the whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from experiments.scaling.work import counts, has_solver
from gan.game import Batch, GeneratedBatch, Players
from gan.guard import guarded
from gan.optimizers.gradients import discriminator_gradient, generator_gradient, mean_over_devices
from gan.training.devices import AXIS

if TYPE_CHECKING:
    from gan.training.loop import Trainer

_MATRIX, _STREAM = 8192, 2**26
"""Largest side of a matrix, and bytes of an array on a device, with which rates are measured."""
_LONG_ENOUGH = 0.02
"""Seconds that a product of matrices must take for its rate to count."""


@dataclass(frozen=True)
class Program:
    """A compiled program with its arguments.

    Attributes:
        call: runs it once.
        compile_seconds: from tracing to the machine's code.
        bytes: that it reads and writes in memory on one device, as the compiler says; None where it does not.
        memory: bytes of its arguments, results and temporary arrays on one device.
    """

    call: Callable[[], Any]
    compile_seconds: float
    bytes: float | None
    memory: int


@dataclass(frozen=True)
class Compiled:
    """A compiled function with what the compiler says of it; fields as of `Program`."""

    function: Callable[..., Any]
    compile_seconds: float
    bytes: float | None
    memory: int


def compiled(function: Any, *arguments: Any) -> Compiled:
    """Compile a function that `jax.jit` has made, and ask the compiler for its memory."""
    began = time.perf_counter()
    program = function.lower(*arguments).compile()
    seconds = time.perf_counter() - began
    said = program.cost_analysis() or {}
    needs = program.memory_analysis()
    memory = 0
    if needs is not None:
        memory = needs.argument_size_in_bytes + needs.output_size_in_bytes + needs.temp_size_in_bytes
        # What is donated is counted as an argument and as a result.
        memory -= needs.alias_size_in_bytes
    return Compiled(program, seconds, said.get("bytes accessed"), int(memory))


class Parts:
    """Programs of the parts of an update.

    Args:
        trainer: of the training.
        state: on its devices.
        batch: on its devices, as one call of the step takes it.
    """

    def __init__(self, trainer: Trainer, state: Any, batch: Any):
        self._trainer, self._state, self._batch = trainer, state, batch
        self._mesh = trainer.spread.mesh
        self._often = counts(trainer.recipe)

    def _program(self, function: Callable[..., Any]) -> Program:
        """Compile (state, data, conditions) -> anything, each device with its own share of the data."""
        spec = jax.sharding.PartitionSpec

        def single(state: Any, real: Any, condition: Any) -> Any:
            # Axes of devices, of steps in a call and of critic steps.
            with jax.default_matmul_precision(self._trainer.recipe.training.precision):
                return function(state, real[0, 0, 0], jax.tree.map(lambda x: x[0, 0, 0], condition))

        mapped = jax.shard_map(
            single, mesh=self._mesh, in_specs=(spec(), spec(AXIS), spec(AXIS)), out_specs=spec(), check_vma=False
        )
        made = compiled(jax.jit(mapped), self._state, *self._batch)
        return Program(lambda: made.function(self._state, *self._batch), made.compile_seconds, made.bytes, made.memory)

    def _seen(self, real: Any, condition: Any) -> tuple[Batch, Any]:
        share = real.shape[0]
        place = jax.lax.axis_index(AXIS) * share + jnp.arange(share)
        return Batch(real, condition, place, jnp.ones(())), jax.random.key(0)

    def nothing(self) -> Program:
        """Return a number of the state: what calling a program takes in itself."""
        return self._program(lambda state, real, condition: state.step)

    def generator(self) -> Program:
        """Draw samples without the solver, judge them, and take the generator's gradient."""
        game = self._trainer.game_of(AXIS, with_solver=False)

        def run(state: Any, real: Any, condition: Any) -> Any:
            batch, key = self._seen(real, condition)
            # Without the mean over devices, which is a phase of its own.
            return generator_gradient(game, state.players, batch, key, None)[0]

        return self._program(run)

    def draw(self) -> Program:
        """Draw samples without the solver, forwards alone."""
        game = self._trainer.game_of(AXIS, with_solver=False)

        def run(state: Any, real: Any, condition: Any) -> Any:
            batch, key = self._seen(real, condition)
            player = state.players.generator
            return game.draw(player.params, player.state, batch, key)[0].samples

        return self._program(run)

    def discriminator(self) -> Program:
        """Take the discriminator's gradient; the data stand for samples too."""
        game = self._trainer.game_of(AXIS)

        def run(state: Any, real: Any, condition: Any) -> Any:
            batch, key = self._seen(real, condition)
            valid = jnp.ones((1, len(real)), bool)
            # Not the very same numbers, or the compiler could take one side for the other.
            drawn = GeneratedBatch(1.01 * real[None], real, condition, valid, batch.place, batch.progress)
            return discriminator_gradient(game, state.players.discriminator, drawn, key, None)[0]

        return self._program(run)

    def solver(self, reverse: bool) -> Program | None:
        """Run the solver layer on the data, with its reverse pass or forwards alone; None where there is none."""
        problem, recipe = self._trainer.problem, self._trainer.recipe
        layer = problem.solver_layer
        if layer is None or not has_solver(problem, recipe):
            return None
        safe = guarded(layer, self._trainer.networks.normalizer, recipe.solver_layer.limit)

        def run(state: Any, real: Any, condition: Any) -> Any:
            def advanced(x: Any) -> Any:
                return safe(x, condition, recipe.solver_layer.tau)[0]

            if not reverse:
                return advanced(real)
            samples, pull = jax.vjp(advanced, real)
            return pull(samples)

        return self._program(run)

    def reduction(self, traffic: bool) -> Program:
        """Average the gradients of an update over the devices, or one number in place of each of their arrays."""
        generator, discriminator = self._reductions()

        def run(state: Any, real: Any, condition: Any) -> Any:
            players: Players = state.players
            made = []
            for player, times in ((players.generator, generator), (players.discriminator, discriminator)):
                tree = player.params if traffic else jax.tree.map(lambda x: x.reshape(-1)[:1], player.params)
                # Each has values of its own, or the compiler would make one of them.
                made += [
                    mean_over_devices(jax.tree.map(lambda x, i=i: x * (1.0 + i), tree), AXIS) for i in range(times)
                ]
            return made

        return self._program(run)

    def _reductions(self) -> tuple[int, int]:
        """How often an update averages the gradients of generator and discriminator."""
        terms = 1 + len(self._trainer.game.generator_terms)
        return self._often.fields * terms, self._often.judgements

    def reduced_bytes(self) -> int:
        """Bytes of all gradients that an update averages, on one device."""
        players = self._state.players
        sizes = [
            sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(player.params))
            for player in (players.generator, players.discriminator)
        ]
        return sum(size * times for size, times in zip(sizes, self._reductions()))


def matrix_rate(mesh: jax.sharding.Mesh, precision: str, compute: str = "float32") -> float:
    """Return the floating-point operations per second of a large product of matrices on each device, while all work.

    The matrices grow until a product takes long enough.

    Args:
        mesh: of the devices.
        precision: of the networks' products.
        compute: type of their numbers.
    """
    side = 512
    while True:
        shape = (mesh.size * side, side)
        seconds = _seconds(mesh, shape, lambda x, y: x @ y, precision, compute)
        if seconds >= _LONG_ENOUGH or side >= _MATRIX:
            return 2.0 * side**3 / seconds
        side *= 2


def memory_rate(mesh: jax.sharding.Mesh) -> float:
    """Return the bytes per second of a stream through the memory of each device, while all work: two numbers are read
    for one that is written."""
    shape = (mesh.size, _STREAM // 4)
    return 3.0 * _STREAM / _seconds(mesh, shape, lambda x, y: x + 0.5 * y, "highest")


def _seconds(
    mesh: jax.sharding.Mesh,
    shape: tuple[int, int],
    function: Callable[[Any, Any], Any],
    precision: str,
    compute: str = "float32",
) -> float:
    """Return the shortest time of a function of two arrays, each device with its own rows of them."""
    spec = jax.sharding.PartitionSpec(AXIS)

    def made() -> Any:
        return jax.jit(lambda: jnp.ones(shape, compute), out_shardings=jax.sharding.NamedSharding(mesh, spec))()

    with jax.default_matmul_precision(precision):
        run = jax.jit(jax.shard_map(function, mesh=mesh, in_specs=(spec, spec), out_specs=spec, check_vma=False))
        x, y = made(), made()
        jax.block_until_ready(run(x, y))
        found = []
        for _ in range(5):
            began = time.perf_counter()
            jax.block_until_ready(run(x, y))
            found.append(time.perf_counter() - began)
    return min(found)
