"""The Dirac game as an experiment: closed-form eigenvalues, orbits that circle and orbits that converge."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments import catalog, cli, pipeline
from experiments.errors import UserError
from experiments.evaluation.results import Orbits
from experiments.plots.dirac import field
from gan.config import GameConfig, OptimizerConfig
from gan.dirac import dirac_game, eigenvalues, orbit
from gan.game import Batch, Player, Players
from gan.optimizers.gradients import vector_field
from gan.optimizers.selection import game_optimizer

RATE = 0.2
PLAIN = ["simultaneous", "alternating", "extragradient", "optimistic"]


def optimizer(scheme: str, transform: str = "sgd"):
    config = OptimizerConfig(
        scheme=scheme, transform=transform, generator_rate=RATE, discriminator_rate=RATE, schedule="constant"
    )
    return game_optimizer(config, GameConfig(objective="minimax"), 100)


def expected(scheme: str, gamma: float) -> np.ndarray:
    """Eigenvalues of the update, from the matrix A of the linearised field, (theta, psi)' = A (theta, psi)."""
    field = np.array([[0.0, 0.5], [-0.5, -gamma]])
    if scheme == "simultaneous":
        return np.linalg.eigvals(np.eye(2) + RATE * field)
    if scheme == "extragradient":
        return np.linalg.eigvals(np.eye(2) + RATE * field + RATE**2 * field @ field)
    if scheme == "optimistic":
        mu = RATE * np.linalg.eigvals(field).astype(complex)
        return np.concatenate([np.roots([1, -(1 + 2 * m), m]) for m in mu])
    if scheme.startswith("competitive"):
        # Each answers the other's step; the penalty's curvature takes no part in that.
        interaction = np.array([[0.0, 0.5], [-0.5, 0.0]])
        return np.linalg.eigvals(np.eye(2) + RATE * np.linalg.solve(np.eye(2) - RATE * interaction, field))
    # Alternating: the discriminator moves first, the generator sees it.
    first = np.eye(2) + RATE * np.array([[0.0, 0.0], [-0.5, -gamma]])
    second = np.eye(2) + RATE * np.array([[0.0, 0.5], [0.0, 0.0]])
    return np.linalg.eigvals(second @ first)


@pytest.mark.float64
@pytest.mark.parametrize("scheme", [*PLAIN, "competitive", "competitive_general_sum"])
@pytest.mark.parametrize("gamma", [0.0, 0.6])
def test_the_linearised_update_has_the_eigenvalues_of_its_closed_form(scheme, gamma):
    wanted = expected(scheme, gamma)
    found = eigenvalues(dirac_game("minimax", gamma), optimizer(scheme))
    assert np.abs(found[0]) == pytest.approx(np.abs(wanted).max(), abs=1e-9)
    np.testing.assert_allclose(
        np.sort_complex(found[: len(wanted)].round(9)), np.sort_complex(wanted.astype(complex).round(9)), atol=1e-8
    )


@pytest.mark.float64
def test_a_small_orbit_moves_by_the_eigenvalues():
    """Two real multiples of one complex pair: z_{n+2} = 2 Re(l) z_{n+1} - |l|^2 z_n along the orbit."""
    points = np.asarray(orbit(dirac_game("minimax", 0.6), optimizer("alternating"), jnp.array([1e-4, 0.0]), 50))
    pair = expected("alternating", 0.6)
    trace, determinant = (pair[0] + pair[1]).real, (pair[0] * pair[1]).real
    np.testing.assert_allclose(points[2:], trace * points[1:-1] - determinant * points[:-2], atol=1e-10)


def test_adaptive_competitive_updates_converges_where_alternating_adam_stays_on_a_cycle():
    demo = catalog.load("dirac").presets["demo"]
    distance = {}
    for scheme in ("alternating", "competitive"):
        made = game_optimizer(replace(demo.optimizer, scheme=scheme, transform="adam"), demo.game, 3000)
        points = jax.jit(partial(orbit, dirac_game("minimax", 0.0), made, steps=3000))(jnp.array([1.0, 1.0]))
        distance[scheme] = np.linalg.norm(np.asarray(points), axis=1)
    assert distance["competitive"][-1] < 1e-4
    # Rounding decides on which of several cycles it settles, of radii from 0.11 to 0.29: none near the equilibrium.
    late = distance["alternating"][-800:]
    assert late.min() > 0.03 and 0.1 < late.max() < 0.3


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    with jax.enable_x64(False):
        assert cli.main(["run", "dirac", "--preset", "smoke", "--runs-dir", str(runs)]) == 0
    (folder,) = (runs / "dirac").iterdir()
    return folder


def test_alternating_adam_circles_and_extragradient_with_r1_converges(finished):
    orbits = experiments.load_run(finished).comparison.need(Orbits)
    outcome = {(one.scheme, one.transform, bool(one.gamma)): one.outcome for one in orbits.rows}
    assert outcome["alternating", "adam", False] == "circles"
    assert outcome["alternating", "sgd", False] == "circles"
    assert outcome["extragradient", "sgd", True] == outcome["alternating", "sgd", True] == "converges"


def test_the_report_shows_the_orbits_and_nothing_can_be_drawn(finished):
    page = (finished / "report.html").read_text()
    assert "every game optimizer" in page and page.count("data:image/png") >= 4
    with pytest.raises(UserError, match="nothing to draw"):
        experiments.load_run(finished).sample(3)


@pytest.mark.float64
@pytest.mark.parametrize("objective", ["minimax", "relativistic_minimax", "wasserstein"])
@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_the_arrows_of_a_portrait_are_the_field_that_gradient_updates_follows(objective, gamma):
    theta, psi = np.meshgrid([-1.5, 0.3], [-0.7, 2.0])
    game = dirac_game(objective, gamma)

    def step(theta, psi):
        batch = Batch(jnp.zeros((1, 1)), {}, jnp.zeros(1, int), jnp.zeros(()))
        players = Players(Player(jnp.float64(theta), {}), Player(jnp.float64(psi), {}))
        found = vector_field(game, players, batch, jax.random.key(0), None).gradients
        return -found.generator, -found.discriminator

    wanted = np.vectorize(step)(theta, psi)
    np.testing.assert_allclose(field(objective, gamma, theta, psi), wanted, rtol=1e-12)


def test_a_game_without_one_shared_loss_gets_no_arrows():
    assert field("non_saturating", 0.5, np.ones(1), np.ones(1)) is None


def test_an_unknown_scheme_is_refused():
    experiment = catalog.load("dirac")
    with pytest.raises(UserError, match=r"--system\.schemes must be one of alternating"):
        experiment.check(experiment.presets["demo"].with_overrides({"system.schemes": "sideways"}))


def test_a_game_that_a_scheme_refuses_stays_in_the_table_with_the_reason():
    experiment = catalog.load("dirac")
    changes = {"game.objective": "non_saturating", "system.schemes": "competitive", "system.updates": "10"}
    comparison, figures = experiment.study.run(experiment.presets["smoke"].with_overrides(changes), lambda *_: None)
    assert all("zero" in row.refused and row.outcome is None for row in comparison.need(Orbits).rows)
    assert not figures


def test_a_study_is_compared_again_without_a_checkpoint(finished):
    from experiments.runs import open_folder

    before = experiments.load_run(finished).comparison
    assert pipeline.compare(open_folder(finished)) == before


@pytest.mark.parametrize("option", ["training.steps", "training.seed", "compare.draws", "optimizer.scheme", "data.dt"])
def test_settings_that_a_study_does_not_use_are_refused(option, tmp_path, capsys):
    value = {"optimizer.scheme": "competitive", "data.dt": "0.5"}.get(option, "100")
    assert cli.main(["run", "dirac", f"--{option}", value, "--runs-dir", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert f"--{option} {value}" in printed and "dirac" in printed
    assert not list(tmp_path.iterdir())
