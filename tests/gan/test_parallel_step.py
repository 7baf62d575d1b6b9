"""The training step is one function: pmap, shard_map, vmap and a single device give the same training.

Plain gradient steps, because an adaptive optimizer hides gradients that are too large by a factor.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.optimizers.gradients import mean_in_vectors
from gan.penalties import Penalty
from gan.training.loop import Trainer
from gan.training.step import AXIS

STEPS = 2


def trainer(toy, how: str, devices: int) -> Trainer:
    recipe = toy.recipe(
        game={"r1": 0.1, "r2": 0.1, "gradient_penalty": 0.5, "symmetrize": True},
        optimizer={"transform": "sgd", "generator_rate": 0.05, "discriminator_rate": 0.05},
        training={"parallel": how, "devices": devices},
    )
    power = Penalty(lambda samples, condition: jnp.mean(samples**2), 0.01)
    return Trainer(toy.problem(penalties={"power": power}), recipe, "unused")


def run(trainer: Trainer, step=None):
    state, metrics, cursor = trainer.state, {}, (0, 0)
    for _ in range(STEPS):
        state, metrics = (step or trainer.step)(state, *trainer.next_batch(cursor))
        cursor = (0, cursor[1] + 8)
    return jax.device_get(state), jax.device_get(metrics)


@pytest.fixture(scope="module")
def oracle(toy):
    """The step under vmap over four shares of the batch: no device, no partitioning."""
    with jax.enable_x64(False):
        made = trainer(toy, "pmap", 4)
        mapped = jax.jit(jax.vmap(made.per_device, in_axes=(None, 0, 0), axis_name=AXIS))

        def step(state, fields, condition):
            return jax.tree.map(lambda x: x[0], mapped(state, fields, condition))

        return run(made, step)


@pytest.mark.parametrize(
    ("how", "devices"), [("jit", 1), pytest.param("pmap", 2, marks=pytest.mark.slow), ("pmap", 4), ("shard_map", 4)]
)
def test_the_step_agrees_with_the_oracle_to_round_off(toy, oracle, how, devices):
    made = trainer(toy, how, devices)
    first = jax.device_get(made.state.players)
    state, metrics = run(made)
    for ours, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(oracle[0])):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
    for name, value in oracle[1].items():
        np.testing.assert_allclose(metrics[name], value, rtol=2e-4, atol=2e-6, err_msg=name)
    # The step moved the players by far more than the tolerance, or agreeing would mean nothing.
    moved = [np.max(np.abs(a - b)) for a, b in zip(*map(jax.tree.leaves, (first, state.players)))]
    assert max(moved) > 1e-3


def test_a_mean_in_vectors_is_that_of_every_array():
    devices = 4
    tree = {
        "a": jnp.arange(24.0).reshape(devices, 2, 3),
        "b": [jnp.arange(4.0), jnp.ones((devices, 5), jnp.bfloat16)],
        "c": jnp.linspace(0, 1, 8).reshape(devices, 2),
    }

    def both(tree):
        return jax.lax.pmean(tree, AXIS), mean_in_vectors(tree, AXIS)

    plain, joined = jax.vmap(both, axis_name=AXIS)(tree)
    assert jax.tree.structure(plain) == jax.tree.structure(joined)
    for ours, theirs in zip(jax.tree.leaves(joined), jax.tree.leaves(plain)):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    # One message for each of the two types, in place of one for each array.
    program = jax.make_jaxpr(lambda x: mean_in_vectors(x, AXIS), axis_env=[(AXIS, devices)])(tree)
    assert sum(one.primitive.name.startswith("psum") for one in program.jaxpr.eqns) == 2


@pytest.mark.parametrize(("devices", "waited"), [(1, []), (2, ["metrics"])])
def test_devices_that_share_threads_take_one_call_at_a_time(toy, monkeypatch, devices, waited):
    made = trainer(toy, "shard_map", devices)
    seen = []
    monkeypatch.setattr(jax, "block_until_ready", lambda tree: seen.extend(tree))
    made.spread.await_turn(["metrics"])
    assert seen == waited


def test_the_state_is_donated(toy):
    made = trainer(toy, "pmap", 2)
    place = jax.sharding.NamedSharding(
        jax.sharding.Mesh(np.array(jax.devices()[:2]), (AXIS,)), jax.sharding.PartitionSpec()
    )
    state = jax.device_put(made.state, place)
    made.step(state, *made.next_batch((0, 0)))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.players))
