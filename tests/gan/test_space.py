"""Training with every field cut over four devices: the step of one device, and less memory on each."""

import re

import jax
import numpy as np
import pytest

from gan.penalties import Penalty
from gan.training.loop import Trainer
from gan.training.problem import Problem


def planes(count: int, points: int) -> np.ndarray:
    """Sums of two plane waves of random phases (count, points, points, 1)."""
    rng, x = np.random.default_rng(0), 2 * np.pi * np.arange(points) / points
    phase = rng.uniform(0, 2 * np.pi, (count, 2, 1, 1))
    fields = np.sin(x[:, None] + phase[:, 0]) + np.cos(2 * x + x[:, None] + phase[:, 1])
    return fields.astype(np.float32)[..., None]


def trainer(toy, how, devices, points=16, **network) -> Trainer:
    recipe = toy.recipe(
        network={"kind": "residual", "width": 4, "latent": 4, "levels": 3, "blocks": 1, **network},
        game={"r1": 0.1, "r2": 0.1, "symmetrize": False},
        optimizer={"transform": "sgd", "generator_rate": 0.05, "discriminator_rate": 0.05},
        solver_layer={"tau": 0.0},
        training={"parallel": how, "devices": devices, "batch": 4},
    )
    power = Penalty(lambda samples, condition: (samples**2).mean(), 0.01)
    return Trainer(Problem(train=planes(16, points), penalties={"power": power}), recipe, "unused")


def batch_of(made: Trainer, cursor=(0, 0)):
    return made.spread.place(made.next_batch(cursor))


@pytest.mark.parametrize("kind", ["residual", "unet"])
def test_the_step_is_that_of_one_device(toy, kind):
    ends = {}
    for how, devices in (("jit", 1), ("space", 4)):
        made = trainer(toy, how, devices, kind=kind, **({"latent": 0} if kind == "unet" else {}))
        state = made.state if how == "jit" else made.spread.replicate(made.state)
        first = jax.device_get(made.state.players)
        for cursor in ((0, 0), (0, 4)):
            batch = batch_of(made, cursor)
            if how == "space":
                assert batch[0].addressable_shards[0].data.shape == (1, 1, 1, 4, 4, 16, 1)
            state, metrics = made.step(state, *batch)
        ends[how] = jax.device_get((state, metrics))
        assert len(jax.tree.leaves(state.players)[0].sharding.device_set) == devices
    for found, expected in zip(*(jax.tree.leaves(ends[how][0]) for how in ("space", "jit")), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)
    for name, value in ends["jit"][1].items():
        np.testing.assert_allclose(ends["space"][1][name], value, rtol=2e-4, atol=2e-6, err_msg=name)
    moved = [np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (first, ends["jit"][0].players)), strict=True)]
    assert max(moved) > 1e-3


def test_every_device_needs_its_share_of_the_memory(toy):
    needed, points = {}, 64
    for devices in (1, 4):
        made = trainer(toy, "space", devices, points, levels=2, width=8)
        program = made.step.lower(made.spread.replicate(made.state), *batch_of(made)).compile()
        needed[devices] = program.memory_analysis().temp_size_in_bytes
    assert needed[4] < 0.4 * needed[1]
    gathered = re.findall(r" = \w+\[([\d,]*)\]\S* all-gather\(", program.as_text())
    # Parameters are, fields of the finest level are not: half of such a batch is more than all that is gathered.
    sizes = [int(np.prod([int(n) for n in shape.split(",") if n])) for shape in gathered]
    assert max(sizes, default=0) < 4 * 8 * points**2 / 2


def test_what_cannot_be_cut_is_refused(toy):
    with pytest.raises(ValueError, match="kind 'mlp'"):
        trainer(toy, "space", 4, kind="mlp")
    with pytest.raises(ValueError, match="3 devices do not divide a grid of shape"):
        trainer(toy, "space", 3)
