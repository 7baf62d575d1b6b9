"""Every game optimizer trains through ``gan.train`` from the configuration, and resumes bit for bit."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from gan.config import SCHEMES
from gan.optimizers import linear_solvers, products
from gan.training.checkpoint import Checkpoints
from gan.training.loop import Trainer, train


def recipe(toy, scheme: str, tau: float = 0.0, **optimizer):
    return toy.recipe(
        network={"width": 6, "latent": 2},
        game={"objective": "minimax", "r1": 0.0, "r2": 0.01},
        optimizer={"scheme": scheme, "inner_iterations": 6, **optimizer},
        solver_layer={"tau": tau},
        training={"steps": 4, "batch": 8, "devices": 2, "log_every": 1, "checkpoint_every": 2, "sample_chunk": 4},
    )


def problem(toy):
    return toy.problem(solver_layer=None, validation=None, symmetries=None)


# Those share their code with one that is quick: optimistic updates with simultaneous, consensus with the adjustment.
SLOW = ("simultaneous", "symplectic")


@pytest.mark.parametrize(
    "scheme",
    [
        pytest.param(scheme, marks=pytest.mark.slow if scheme in SLOW else ())
        for scheme in SCHEMES
        if scheme not in ("alternating", "competitive")
    ],
)
def test_every_scheme_trains_from_the_configuration_and_averages_the_generator(toy, tmp_path, scheme):
    chosen = recipe(toy, scheme)
    trained = train(problem(toy), chosen, tmp_path)
    record = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(record) == 4 and all(np.isfinite(list(line.values())).all() for line in record)
    assert ("inner_iterations" in record[-1]) == scheme.startswith("competitive")
    trainer = Trainer(problem(toy), chosen, tmp_path)
    checkpoints = Checkpoints(tmp_path, 2)
    last = checkpoints.restore(4, trainer.state)
    checkpoints.close()
    first = trainer.state.players
    for before, after in zip(first, last.players):
        moves = [np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (before.params, after.params)))]
        assert 1e-3 < max(moves) < 1.0
    average = jax.tree.leaves(trained.params)
    apart = [np.abs(a - p).max() for a, p in zip(average, jax.tree.leaves(last.players.generator.params))]
    assert 0.0 < max(apart) < 1.0


@pytest.mark.parametrize(
    "scheme",
    [
        pytest.param(scheme, marks=pytest.mark.slow if scheme != "competitive_general_sum" else ())
        for scheme in ("consensus", "symplectic", "competitive", "competitive_general_sum")
    ],
)
def test_schemes_with_second_derivatives_train_through_the_solver(toy, scheme):
    """The solver as the last layer can only be pulled back, so every product must be made of pull-backs over it."""
    chosen = recipe(toy, scheme, tau=1.0)
    trainer = Trainer(toy.problem(validation=None, symmetries=None), chosen, "unused")
    # The step gives its first argument away.
    players = jax.device_get(trainer.state.players)
    state, metrics = trainer.step(trainer.state, *trainer.next_batch((0, 0)))
    assert all(np.isfinite(value).all() for value in jax.tree.leaves((state.players, metrics)))
    for before, after in zip(players, state.players):
        moves = [np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (before.params, after.params)))]
        assert 1e-4 < max(moves) < 1.0


@pytest.mark.slow
def test_adaptive_competitive_updates_under_lookahead_resumes_bit_for_bit(toy, tmp_path):
    chosen = recipe(toy, "competitive", lookahead_steps=3)

    class Killed(Exception):
        pass

    def kill(step, steps, line):
        if step == 2:
            raise Killed

    with pytest.raises(Killed):
        train(problem(toy), chosen, tmp_path / "killed", progress=kill)
    train(problem(toy), chosen, tmp_path / "killed", resume=True)
    train(problem(toy), chosen, tmp_path / "whole")
    like = Trainer(problem(toy), chosen, tmp_path).state
    states = []
    for name in ("killed", "whole"):
        checkpoints = Checkpoints(tmp_path / name, 2)
        states.append(jax.device_get(checkpoints.restore(4, like)))
        checkpoints.close()
    assert jax.tree.structure(states[0]) == jax.tree.structure(like)
    for ours, theirs in zip(*map(jax.tree.leaves, states)):
        np.testing.assert_array_equal(ours, theirs)
    # What the solver starts from, and what lookahead pulls to, are part of what was kept.
    optimizer = states[0].optimizer
    assert int(optimizer.updates) == 4 and max(np.abs(x).max() for x in jax.tree.leaves(optimizer.wrapped.last)) > 0.0


@pytest.mark.slow
def test_convolutional_players_take_the_same_competitive_step_unrolled_and_in_a_loop(toy, monkeypatch):
    chosen = recipe(toy, "competitive", inner_iterations=4, inner_tolerance=1e-2)
    network = {"kind": "residual", "width": 4, "levels": 2, "latent": 2}
    chosen = dataclasses.replace(chosen, network=toy.recipe(network=network).network)
    seen, states = [], []
    for convolves in (None, False):
        if convolves is not None:
            monkeypatch.setattr(products, "contains", lambda jaxpr, name: False)
        repeat = linear_solvers.repeat

        def spy(*given, repeat=repeat):
            seen.append(given[-1])
            return repeat(*given)

        monkeypatch.setattr(linear_solvers, "repeat", spy)
        trainer = Trainer(problem(toy), chosen, "unused")
        state, metrics = trainer.step(trainer.state, *trainer.next_batch((0, 0)))
        states.append(jax.device_get((state.players, metrics)))
        monkeypatch.setattr(linear_solvers, "repeat", repeat)
    # Convolutions in a compiled loop are slow on a CPU, so there the budget is unrolled.
    assert seen == [True, False]
    assert 0 < states[0][1]["inner_iterations"] == states[1][1]["inner_iterations"]
    for unrolled, looped in zip(*map(jax.tree.leaves, states)):
        np.testing.assert_allclose(unrolled, looped, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["residual", "dcgan"])
def test_convolutional_players_take_competitive_steps_in_mixed_precision_on_every_number_of_devices(toy, kind):
    """Convolutions, ``pmap`` and bfloat16 products together: devices change sums alone, precision a little."""
    network = {"kind": kind, "width": 4, "levels": 2, "latent": 2}
    if kind == "dcgan":
        network["batch_norm"] = "none"
    ends = {}
    # A tolerance that no budget reaches: every arrangement makes the same iterations.
    for devices, half in ((1, True), (2, True), (1, False)):
        chosen = recipe(toy, "competitive", inner_iterations=4, inner_tolerance=1e-9, inner_half=half)
        chosen = dataclasses.replace(
            chosen,
            network=toy.recipe(network=network).network,
            training=dataclasses.replace(chosen.training, devices=devices),
        )
        trainer = Trainer(problem(toy), chosen, "unused")
        first = flat(trainer.state.players)
        state, metrics = trainer.step(trainer.state, *trainer.next_batch((0, 0)))
        assert float(np.max(metrics["inner_iterations"])) == 4.0
        ends[devices, half] = flat(state.players) - first
    step = np.linalg.norm(ends[1, False])
    rounded = np.linalg.norm(ends[1, True] - ends[1, False]) / step
    assert 1e-6 < rounded < 0.05
    assert np.linalg.norm(ends[2, True] - ends[1, True]) / step < 0.2 * rounded


def flat(players):
    params = jax.device_get((players.generator.params, players.discriminator.params))
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)]).astype(np.float64)
