"""Generators of a periodic field's longest waves, trained without a solver; ``joint_law.py`` compares them.

A dissipative solver makes the short waves follow the long ones within a short time, so that a generator may leave them
out. What remains are a few complex amplitudes, for which dense networks are large enough: they learn in minutes what a
convolutional network of whole fields learns slowly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Complex, Float, PyTree

from gan import fair_energy_score

FRAME = 2
"""Wave whose phase is taken out before a network sees a field: one of the strongest."""
WIDTH, DEPTH, BATCH, RATE, BLOCK = 256, 3, 256, 2e-3, 50
AVERAGE = 2000
"""Updates over which parameters are averaged."""
Batches = Callable[[Array], Complex[Array, "b k"]]
"""key -> amplitudes of data."""


@dataclass(frozen=True)
class Waves:
    """Complex amplitudes of the longest waves of periodic fields on a line, each in units of its own spread.

    A shift of a field by s turns the amplitude of wave k by exp(-2 pi i k s / L), and u(x) -> -u(-x) changes the sign
    of the real part of every amplitude. Both are symmetries of the equation.

    Attributes:
        scale: root mean square of the real, and of the imaginary, part of each amplitude.
        square_scale: the same of the squared field.
        points: of the grid.

    Example:
        >>> waves = Waves.of(training_fields, 6)
        >>> fields = waves.fields(waves.amplitudes(training_fields))  # without the shorter waves
    """

    scale: np.ndarray
    square_scale: np.ndarray
    points: int

    @classmethod
    def of(cls, fields: Float[np.ndarray, "n x 1"], count: int) -> Waves:
        """Take the spreads from fields."""

        def spread(fields: np.ndarray) -> np.ndarray:
            hat = np.fft.rfft(fields[..., 0], axis=-1)[:, 1 : count + 1] / fields.shape[1]
            return np.sqrt((np.abs(hat) ** 2).mean(axis=0) / 2).astype(np.float32)

        return cls(spread(fields), spread(fields**2), fields.shape[1])

    def amplitudes(self, fields: Float[np.ndarray, "n x 1"]) -> Complex[np.ndarray, "n k"]:
        """Fields to amplitudes."""
        hat = np.fft.rfft(fields[..., 0], axis=-1)[:, 1 : len(self.scale) + 1]
        return (hat / self.points / self.scale).astype(np.complex64)

    def fields(self, amplitudes: Complex[np.ndarray, "n k"]) -> Float[np.ndarray, "n x 1"]:
        """Amplitudes to fields of zero mean, without any other wave."""
        hat = np.zeros((len(amplitudes), self.points // 2 + 1), np.complex64)
        hat[:, 1 : len(self.scale) + 1] = np.asarray(amplitudes) * self.scale * self.points
        return np.fft.irfft(hat, self.points, axis=1)[..., None].astype(np.float32)

    def square(self, x: Float[Array, "n 2k"]) -> Float[Array, "n 2k"]:
        """The same waves of the squared field: what the equation's nonlinearity makes of the field."""
        count, points = len(self.scale), 4 * len(self.scale)
        angle = 2 * np.pi * np.outer(np.arange(1, count + 1), np.arange(points)) / points
        scale = self.scale[:, None]
        to_grid = 2 * np.concatenate([scale * np.cos(angle), -scale * np.sin(angle)])
        back = np.concatenate([np.cos(angle), -np.sin(angle)]).T / points / np.tile(self.square_scale, 2)
        return (x @ jnp.asarray(to_grid, jnp.float32)) ** 2 @ jnp.asarray(back, jnp.float32)


def real(a: Complex[Array, "n k"]) -> Float[Array, "n 2k"]:
    """Real parts, then imaginary parts."""
    return jnp.concatenate([a.real, a.imag], axis=-1)


def amplitudes(x: Float[Array, "n 2k"]) -> Complex[Array, "n k"]:
    """The inverse of `real`."""
    half = x.shape[-1] // 2
    return jax.lax.complex(x[:, :half], x[:, half:])


def turned(a: Complex[Array, "n k"], angle: Float[Array, "n 1"]) -> Complex[Array, "n k"]:
    """Shift every field, wave 1 by ``angle``."""
    return a * jnp.exp(1j * angle * jnp.arange(1, a.shape[-1] + 1))


def moved(a: Complex[Array, "n k"], key: Array) -> Complex[Array, "n k"]:
    """Move every field by a random symmetry of the equation."""
    shift_key, mirror_key = jax.random.split(key)
    a = turned(a, jax.random.uniform(shift_key, (len(a), 1), maxval=2 * np.pi))
    return jnp.where(jax.random.bernoulli(mirror_key, 0.5, (len(a), 1)), -jnp.conj(a), a)


def dense(key: Array, inputs: int, outputs: int) -> PyTree:
    """Parameters of a residual dense network; every branch starts small."""

    def layer(key: Array, rows: int, columns: int, gain: float) -> tuple[Array, Array]:
        return jax.random.normal(key, (rows, columns)) * gain / np.sqrt(rows), jnp.zeros(columns)

    keys = jax.random.split(key, 2 * DEPTH + 2)
    branches = [(layer(a, WIDTH, WIDTH, 1.4), layer(b, WIDTH, WIDTH, 0.1)) for a, b in zip(keys[2::2], keys[3::2])]
    return [layer(keys[0], inputs, WIDTH, 1.0), branches, layer(keys[1], WIDTH, outputs, 0.1)]


def apply(params: PyTree, x: Float[Array, "n inputs"]) -> Float[Array, "n outputs"]:
    """Apply what `dense` made."""
    (entry, offset), branches, (head, last) = params
    x = x @ entry + offset
    for (first, a), (second, b) in branches:
        x = x + jax.nn.silu(jax.nn.silu(x) @ first + a) @ second + b
    return jax.nn.silu(x) @ head + last


def minimised(
    loss: Callable[[PyTree, Array], Array], params: PyTree, seconds: float, seed: int, momentum: float = 0.9
) -> PyTree:
    """Minimise ``loss(params, key)`` by Adam for ``seconds`` of processor time, with a cosine decay over that time.

    Returns:
        the averaged parameters.
    """
    transform = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b1=momentum, b2=0.99))

    def update(state: tuple, key: Array, rate: Array) -> tuple[tuple, Array]:
        params, moments, average, count = state
        value, gradient = jax.value_and_grad(loss)(params, key)
        change, moments = transform.update(gradient, moments, params)
        params = jax.tree.map(lambda p, c: p - rate * c, params, change)
        keep = jnp.minimum(1 - 1 / AVERAGE, count / (count + 10.0))
        average = jax.tree.map(lambda a, p: keep * a + (1 - keep) * p, average, params)
        return (params, moments, average, count + 1), value

    @jax.jit
    def run(state: tuple, keys: Array, rate: Array) -> tuple[tuple, Array]:
        return jax.lax.scan(lambda state, key: update(state, key, rate), state, keys)

    state: tuple = (params, transform.init(params), params, jnp.zeros(()))
    key, done, said = jax.random.key(seed), 0, 0.0
    jax.block_until_ready(run(state, jax.random.split(key, BLOCK), jnp.zeros(())))  # compiled before the clock runs
    began = time.process_time()
    while (used := (time.process_time() - began) / seconds) < 1:
        key, block = jax.random.split(key)
        rate = RATE * min(1.0, (done + BLOCK) / 500) * 0.5 * (1 + np.cos(np.pi * used))
        state, values = run(state, jax.random.split(block, BLOCK), jnp.float32(rate))
        done += BLOCK
        if used >= said:
            print(f"  {done} updates, {used:.0%} of the time, loss {float(values.mean()):.4f}", flush=True)
            said += 0.2
    return jax.device_get(state[2])


def seen(waves: Waves, a: Complex[Array, "n k"]) -> tuple[Float[Array, "n 4k"], Float[Array, "n 1"]]:
    """What a network sees of fields, and the angle by which each was turned for it.

    Each field is shifted so that wave `FRAME` is real and positive, which leaves it free up to a shift by a whole part
    of the box; beside it stand the same waves of its square.
    """
    angle = -jnp.angle(a[:, FRAME - 1 : FRAME]) / FRAME
    x = real(turned(a, angle))
    return jnp.concatenate([x, waves.square(x)], axis=-1), angle


def velocity(waves: Waves, params: PyTree, a: Complex[Array, "n k"], t: Float[Array, " n"]) -> Complex[Array, "n k"]:
    """The velocity of flow matching at time t: the network's answer for the turned fields, turned back."""
    x, angle = seen(waves, a)
    angles = t[:, None] * np.pi * jnp.arange(1, 5)
    x = jnp.concatenate([x, 2 * t[:, None] - 1, jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return turned(amplitudes(apply(params, x)), -angle)


def trained_flow(waves: Waves, batches: Batches, seconds: float, seed: int) -> PyTree:
    """Parameters of `velocity` by flow matching, for ``seconds`` of processor time.

    Times are sigmoid(1 + 1.3 z) with z standard normal: most lie near the data, whose distribution is thin.
    """
    count = len(waves.scale)

    def loss(params: PyTree, key: Array) -> Array:
        keys = jax.random.split(key, 3)
        data = batches(keys[0])
        noise = amplitudes(jax.random.normal(keys[1], (len(data), 2 * count)))
        t = jax.nn.sigmoid(1.0 + 1.3 * jax.random.normal(keys[2], (len(data),)))
        between = (1 - t)[:, None] * noise + t[:, None] * data
        return jnp.mean(jnp.abs(velocity(waves, params, between, t) - (data - noise)) ** 2) / 2

    return minimised(loss, dense(jax.random.key(seed), 4 * count + 9, 2 * count), seconds, seed)


def flow_samples(waves: Waves, params: PyTree, steps: int) -> Callable[[Array, int], Array]:
    """Return ``(key, n) -> amplitudes``: the midpoint rule, two evaluations a step; steps shorten towards the data."""
    ends = jnp.asarray(1 - (1 - np.arange(steps + 1) / steps) ** 1.5, jnp.float32)

    def make(key: Array, n: int) -> Array:
        def step(a: Array, both: Array) -> tuple[Array, None]:
            t, length = both[0], both[1] - both[0]
            half = a + 0.5 * length * velocity(waves, params, a, jnp.full(n, t))
            return a + length * velocity(waves, params, half, jnp.full(n, t + 0.5 * length)), None

        start = amplitudes(jax.random.normal(key, (n, 2 * len(waves.scale))))
        return jax.lax.scan(step, start, jnp.stack([ends[:-1], ends[1:]], axis=1))[0]

    return make


def direct_samples(waves: Waves, params: PyTree) -> Callable[[Array, int], Array]:
    """Return ``(key, n) -> amplitudes``: one evaluation of a dense network, moved by a random symmetry."""

    def make(key: Array, n: int) -> Array:
        draw, move = jax.random.split(key)
        x = jax.random.normal(draw, (n, 2 * len(waves.scale)))
        return moved(amplitudes(x + apply(params, x)), move)

    return make


def trained_score(waves: Waves, batches: Batches, seconds: float, seed: int) -> PyTree:
    """Parameters of `direct_samples` by the fair energy score alone, without a discriminator."""

    def loss(params: PyTree, key: Array) -> Array:
        own, other = jax.random.split(key)
        data = batches(other)
        return fair_energy_score(real(direct_samples(waves, params)(own, len(data))), real(data))

    count = len(waves.scale)
    return minimised(loss, dense(jax.random.key(seed), 2 * count, 2 * count), seconds, seed)


def trained_game(waves: Waves, batches: Batches, seconds: float, seed: int, *, weight: float) -> PyTree:
    """Parameters of `direct_samples` by the relativistic game, against a dense discriminator of what `seen` returns.

    The weight is that of the penalties of the discriminator's gradient at data and at samples.
    """

    def logits(params: PyTree, x: Float[Array, "n 2k"]) -> Float[Array, " n"]:
        return apply(params, seen(waves, amplitudes(x))[0])[:, 0]

    def penalty(params: PyTree, x: Float[Array, "n 2k"]) -> Array:
        slope = jax.grad(lambda x: jnp.sum(logits(params, x)))(x)
        return 0.5 * weight * jnp.mean(jnp.sum(slope**2, axis=-1))

    def loss(params: tuple[PyTree, PyTree], key: Array) -> Array:
        # Each player's terms hold the other one fixed, so that one gradient is the simultaneous step of both.
        generator, discriminator = params
        fixed = jax.lax.stop_gradient
        own, other = jax.random.split(key)
        data = real(batches(other))
        fake = real(direct_samples(waves, generator)(own, len(data)))
        better = logits(fixed(discriminator), fake) - logits(fixed(discriminator), data)
        worse = logits(discriminator, fixed(fake)) - logits(discriminator, data)
        held = penalty(discriminator, data) + penalty(discriminator, fixed(fake))
        return jnp.mean(jax.nn.softplus(-better)) + jnp.mean(jax.nn.softplus(worse)) + held

    count, keys = len(waves.scale), jax.random.split(jax.random.key(seed))
    start = dense(keys[0], 2 * count, 2 * count), dense(keys[1], 4 * count, 1)
    return minimised(loss, start, seconds, seed, momentum=0.0)[0]
