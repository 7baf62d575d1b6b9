"""The training loop: records, checkpoints, divergence, interruption, refusals, and what a trained generator draws."""

import json
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.augmentation import ArraySymmetries
from gan.penalties import LinearRamp, Penalty
from gan.training.checkpoint import Checkpoints
from gan.training.divergence import Diverged, checked_means
from gan.training.loop import Trainer, train
from gan.training.trained import load


def lines(folder) -> list[dict]:
    return [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]


def leaves_of(trained) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(trained.params)]


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory):
    """One training of 200 steps, with what it said on the way."""
    folder, said = tmp_path_factory.mktemp("finished"), []
    with jax.enable_x64(False):
        trained = train(toy.problem(), toy.recipe(), folder, progress=lambda *told: said.append(told))
    return trained, folder, said


def test_training_brings_samples_closer_to_the_data(toy, finished):
    trained, folder, _ = finished
    held_out = toy.problem().validation
    untrained = Trainer(toy.problem(), toy.recipe(), folder)
    first = untrained.validate(untrained.state)
    assert trained.validation == lines(folder)[-1]["validation"] < first
    assert trained.sample(jax.random.key(0), 3).shape == (3, *held_out.shape[1:])


def test_the_record_has_one_line_for_each_logged_step(finished):
    _, folder, said = finished
    record = lines(folder)
    assert [line["step"] for line in record] == list(range(25, 201, 25)) == [step for step, _, _ in said]
    assert [line["tau"] for line in record][-1] == 1.0 > record[0]["tau"]
    assert record[-1]["rate_generator"] == pytest.approx(0.02 * 5e-3, rel=1e-4)
    wanted = {"seconds", "step_seconds", "generator_loss", "discriminator_loss", "gradient_adversarial", "invalid"}
    assert all(wanted <= line.keys() for line in record)
    assert ["validation" in line for line in record] == [False, True] * 4


def test_the_time_of_an_update_leaves_out_compiling_checkpoints_and_whoever_watches(toy, tmp_path, monkeypatch):
    """Every piece of work takes a time of its own on a clock that nothing else moves."""
    now = 0.0
    monkeypatch.setattr("gan.training.pace.monotonic", lambda: now)

    def taking(seconds, result):
        def work(*arguments):
            nonlocal now
            now += seconds() if callable(seconds) else seconds
            return result(*arguments)

        return work

    def compiled(state, *_):
        return state, {"invalid": np.zeros(())}

    def trainer(folder, **choices):
        made = Trainer(toy.problem(), toy.recipe(**choices), tmp_path / folder)
        for name in ("step", "step_between"):
            first = iter([500.0])
            setattr(made, name, taking(lambda first=first: next(first, 3.0), compiled))
        made.next_batch = taking(0.5, made.next_batch)
        made.examine = taking(1000.0, lambda *_: {})
        return made

    length = {"steps": 8, "log_every": 4, "checkpoint_every": 4}
    for folder, game in (("one", {}), ("two", {"penalty_every": 3})):
        trainer(folder, game=game, training=length).run(False, taking(2000.0, lambda *_: None))
        assert [line["step_seconds"] for line in lines(tmp_path / folder)] == [3.5, 3.5]
    every = {"steps": 3, "log_every": 1, "checkpoint_every": 1}
    trainer("every", training=every).run(False, None)
    assert [line.get("step_seconds") for line in lines(tmp_path / "every")] == [None, 3.5, 3.5]


def test_the_latest_and_the_best_checkpoints_are_kept(toy, finished):
    _, folder, _ = finished
    scores = {line["step"]: line["validation"] for line in lines(folder) if "validation" in line}
    best = min(scores, key=scores.get)
    checkpoints = Checkpoints(folder, 2)
    assert set(checkpoints.steps()) == {150, 200, best} and checkpoints.best() == best
    checkpoints.close()
    assert load(folder, solver_layer=toy.decay, which="best").step == best


def test_a_loaded_generator_draws_the_same_samples_whatever_the_chunk(toy, finished):
    trained, folder, _ = finished
    key = jax.random.key(3)
    mine = trained.sample(key, 40)
    theirs = load(folder, solver_layer=toy.decay).sample(key, 40, chunk=7)
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(trained.sample(key, 40), mine)
    assert not np.allclose(trained.sample(jax.random.key(4), 40), mine)


@pytest.fixture(scope="module")
def every_third(toy, tmp_path_factory):
    """Eight updates, of which every third takes the gradient penalties."""
    folder = tmp_path_factory.mktemp("third")
    chosen = toy.recipe(game={"penalty_every": 3}, training={"steps": 8, "log_every": 2, "checkpoint_every": 2})
    with jax.enable_x64(False):
        return chosen, train(toy.problem(), chosen, folder), folder


def test_penalties_of_every_third_update_weigh_three_times_as_much(toy, every_third):
    chosen, trained, folder = every_third
    kinds = [
        {"r1": 3 * chosen.game.r1, "r2": 3 * chosen.game.r2},
        {"r1": 0.0, "r2": 0.0},
    ]
    length = {"steps": 8, "log_every": 2, "checkpoint_every": 2}
    strong, without = (Trainer(toy.problem(), toy.recipe(game=one, training=length), "unused") for one in kinds)
    state, penalties = strong.state, []
    for step in range(8):
        made = without if step % 3 else strong
        state, metrics = made.step(state, *made.next_batch((0, 8 * step)))
        penalties.append(float(np.squeeze(metrics.get("discriminator_r1", 0.0))))
    for a, b in zip(leaves_of(trained), jax.tree.leaves(state.average.params)):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-5, atol=1e-6)
    recorded = [line["discriminator_r1"] for line in lines(folder) if "discriminator_r1" in line]
    # Steps 0, 3 and 6 of the pairs that a line sums up.
    np.testing.assert_allclose(recorded, [penalties[0] / 2, penalties[3] / 2, penalties[6] / 2], rtol=1e-4)


def test_a_training_with_penalties_now_and_then_is_resumed_bit_for_bit(toy, every_third, tmp_path):
    chosen, trained, _ = every_third

    def stop(step, *_):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(toy.problem(), chosen, tmp_path, progress=stop)
    resumed = train(toy.problem(), chosen, tmp_path, resume=True)
    for a, b in zip(leaves_of(trained), leaves_of(resumed)):
        np.testing.assert_array_equal(a, b)


def test_a_sample_is_the_advanced_output_of_the_network(finished):
    trained = finished[0]
    key = jax.random.key(0)
    before = trained.draw_without_solver(key, 5).fields
    np.testing.assert_allclose(trained.sample(key, 5), np.exp(-0.1) * before, rtol=1e-5)
    np.testing.assert_allclose(trained.sample(key, 5, tau=3.0), np.exp(-0.3) * before, rtol=1e-5)


def test_a_generator_trained_through_a_solver_is_not_loaded_without_it(finished):
    with pytest.raises(ValueError, match="solver_layer"):
        load(finished[1])


def test_interrupting_saves_and_resuming_ends_where_the_uninterrupted_training_ends(toy, finished, tmp_path):
    def interrupt(step, total, metrics):
        if step == 75:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(toy.problem(), toy.recipe(), tmp_path, progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert load(tmp_path, solver_layer=toy.decay).step == 76
    resumed = train(toy.problem(), toy.recipe(), tmp_path, resume=True)
    for ours, theirs in zip(leaves_of(resumed), leaves_of(finished[0])):
        np.testing.assert_array_equal(ours, theirs)
    assert lines(tmp_path)[-1]["generator_loss"] == lines(finished[1])[-1]["generator_loss"]


def test_resuming_a_finished_training_changes_nothing(toy, finished):
    trained, folder, _ = finished
    again = train(toy.problem(), toy.recipe(), folder, resume=True)
    for ours, theirs in zip(leaves_of(again), leaves_of(trained)):
        np.testing.assert_array_equal(ours, theirs)
    assert again.validation == trained.validation and len(lines(folder)) == 8


def test_a_training_that_runs_away_stops_with_the_cause_and_keeps_the_last_good_checkpoint(toy, tmp_path):
    poison = Penalty(lambda s, c: jnp.log(jnp.mean(s**2)), 1.0, lambda p: jnp.where(p > 0.55, jnp.nan, 0.0))
    with pytest.raises(
        Diverged, match=r"step 11[0-9]: generator_poison = nan.*checkpoint of step 100 is kept"
    ) as error:
        train(toy.problem(penalties={"poison": poison}), toy.recipe(), tmp_path)
    assert "\n" not in str(error.value)
    good = load(tmp_path, solver_layer=toy.decay)
    assert good.step == 100 and np.all(np.isfinite(good.sample(jax.random.key(0), 8)))


def test_the_cause_of_a_divergence_is_named_with_its_step_and_limit(toy):
    training = toy.recipe(training={"loss_limit": 10.0, "gradient_limit": 5.0}).training
    fine = {"generator_loss": 1.0, "gradient_generator": 4.0, "gradient_power": 1.0, "invalid": 0.5}
    assert checked_means(25, [fine, {**fine, "generator_loss": 2.0}], training)["generator_loss"] == 1.5
    for changes, message in (
        ({"generator_loss": -11.0}, r"step 24: generator_loss = -11 is past its limit 10\."),
        ({"gradient_generator": np.inf, "gradient_power": np.inf}, r"step 24: gradient_power = inf\."),
        ({"invalid": np.nan}, r"step 24: invalid = nan\."),
    ):
        with pytest.raises(Diverged, match=message):
            checked_means(25, [{**fine, **changes}, fine], training)
    with pytest.raises(Diverged, match="step 25: the solver refused every sample"):
        checked_means(25, [{**fine, "invalid": 1.0}] * 2, training)


def test_samples_that_the_solver_refuses_are_counted_and_drawn_again(toy, tmp_path):
    def choosy(samples, condition, tau):
        return samples, samples[:, 0, 0] > -0.5

    trained = train(toy.problem(solver_layer=choosy), toy.recipe(training={"steps": 50}), tmp_path)
    assert 0.1 < lines(tmp_path)[-1]["invalid"] < 0.9
    fields, valid = trained.draw(jax.random.key(0), 50)
    assert 0 < valid.sum() < 50
    redrawn = trained.sample(jax.random.key(0), 50)
    assert np.all(redrawn[:, 0, 0] > -0.5)
    np.testing.assert_array_equal(redrawn[valid], fields[valid])


def test_every_term_of_the_generator_has_its_gradient_norm_in_the_record(toy, tmp_path):
    """Conditional, two critic steps, a penalty on a schedule and the ensemble score, with a wasserstein game."""
    data = toy.waves(120)
    condition = {"size": data.max(axis=1), "coarse": data[:, ::2]}
    problem = toy.problem(
        train=data,
        condition=condition,
        validation=None,
        symmetries=None,
        penalties={"power": Penalty(lambda s, c: jnp.mean((s[:, ::2] - c["coarse"]) ** 2), 1.0, LinearRamp(0.5, 1.0))},
    )
    recipe = toy.recipe(
        game={"objective": "wasserstein", "gradient_penalty": 1.0, "critic_steps": 2, "ensemble_weight": 1.0},
        training={"steps": 50},
    )
    trained = train(problem, recipe, tmp_path)
    first, last = lines(tmp_path)
    assert first["gradient_power"] == 0.0 < last["gradient_power"]
    assert first["gradient_ensemble"] > 0.0 and last["discriminator_gradient_penalty"] > 0.0
    one = {name: value[0] for name, value in condition.items()}
    assert trained.sample(jax.random.key(0), 4, one).shape == (4, 16, 1)
    with pytest.raises(ValueError, match=r"takes the conditions \['coarse', 'size'\], got none"):
        trained.sample(jax.random.key(0), 4)


def held_out(at: int, value: float) -> np.ndarray:
    """Held-out samples of the toy problem's shape, one number of one of them changed."""
    fields = np.zeros((80, 16, 1), np.float32)
    fields[at, 3] = value
    return fields


def conditional(**shapes: tuple[int, ...]) -> dict:
    """Entries that give the toy problem conditions of these shapes."""
    train, validation = ({name: np.zeros((n, *shape)) for name, shape in shapes.items()} for n in (160, 80))
    return {"symmetries": None, "condition": train, "validation_condition": validation}


@pytest.mark.parametrize(
    ("changes", "sections", "message"),
    [
        ({"solver_layer": None}, {}, "solver_layer.tau = 1.0 needs Problem.solver_layer"),
        ({}, {"training": {"batch": 300}}, "takes 300 samples, but there are only 160"),
        ({}, {"training": {"batch": 6, "devices": 4}}, "batch = 6 does not divide over 4 devices"),
        ({}, {"training": {"devices": 9}}, "devices = 9, but only 4"),
        ({}, {"game": {"ensemble_weight": 1.0}}, "ensemble_weight"),
        ({}, {"network": {"kind": "residual", "levels": 6}}, "levels = 6"),
        ({"train": np.zeros((50,), np.float32)}, {}, "at least 2 axes"),
        ({"validation": np.zeros((5, 8, 1), np.float32)}, {}, r"\(8, 1\)"),
        ({"validation": np.zeros((0, 16, 1), np.float32)}, {}, "validation holds no samples"),
        ({"condition": {"c": np.zeros((7, 1))}}, {}, "160 rows"),
        ({"validation": held_out(at=31, value=np.nan)}, {}, "validation holds .* not finite, first in sample 31"),
        (
            {**conditional(c=(3,)), "validation_condition": {"c": np.zeros((80, 4))}},
            {},
            r"validation_condition\['c'\] has the shape \(4,\), but .* has \(3,\)",
        ),
        (
            {**conditional(c=(3,)), "validation_condition": {"c": np.full((80, 3), np.inf)}},
            {},
            r"validation_condition\['c'\] holds .* not finite, first in sample 0",
        ),
        (
            {**conditional(a=(8, 1)), "symmetries": ArraySymmetries((0,))},
            {},
            "bring it to the samples' grid and channels, or give no symmetries",
        ),
        (
            conditional(a=(8, 1), b=(16, 2)),
            {},
            r"different grids \('a' \(8,\), 'b' \(16,\)\): bring them to one grid",
        ),
        (
            conditional(a=(4, 8, 1), b=(16, 2)),
            {"network": {"kind": "residual"}},
            r"different grids \('a' \(8,\), 'b' \(16,\)\): bring them to one grid",
        ),
        (
            {
                "train": np.ones((40, 8, 8, 1), np.float32),
                "validation": None,
                "symmetries": None,
                "condition": {"profile": np.zeros((40, 8, 1))},
            },
            {"network": {"kind": "residual"}},
            r"'profile' has the shape \(8, 1\), but beside a grid of shape \(8, 8\) .* a field \(3 axes\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(toy, tmp_path, changes, sections, message):
    with pytest.raises(ValueError, match=message):
        train(toy.problem(**changes), toy.recipe(**sections), tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_folders_of_another_training_or_format_are_refused(toy, finished, tmp_path):
    folder = finished[1]
    with pytest.raises(ValueError, match="already holds a training"):
        train(toy.problem(), toy.recipe(), folder)
    with pytest.raises(ValueError, match=r"recipe.network.width was 16 and is now 9"):
        train(toy.problem(), toy.recipe(network={"width": 9}), folder, resume=True)
    with pytest.raises(ValueError, match="holds no training"):
        load(tmp_path)
    (tmp_path / "gan.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format 99"):
        load(tmp_path)
    for damaged in ('{"format"', "[]"):
        (tmp_path / "gan.json").write_text(damaged)
        with pytest.raises(ValueError, match="damaged"):
            load(tmp_path)
