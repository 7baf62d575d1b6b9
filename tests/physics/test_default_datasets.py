"""Default data sets: certified for ordinary and stochastic equations, with and without a finer grid; resolution."""

import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physics
from physics import (
    SIR,
    BandLimitedField,
    Burgers,
    CertificateRefusedError,
    DoubleWell,
    FixedSystem,
    Grid,
    Heat,
    NoisePath,
    SeismicWave,
    StochasticNavierStokes2D,
    UnresolvedFieldWarning,
    advance,
    default_dataset,
    generate,
    solve,
)
from physics.noise import own_noise
from physics.resolution import unresolved_share
from physics.spectral import dealias

RING = Grid((16,), (2 * np.pi,))
_SITES, _POINT, _NOISE = "no points of a continuum", "a single point has no grid", "a noise of its own"
SYSTEMS_THAT_MOVE = sorted(
    name
    for name, public in ((name, getattr(physics, name)) for name in physics.__all__)
    if inspect.isclass(public) and issubclass(public, physics.System) and not inspect.isabstract(public)
)
# What their certificates say instead of a grid error.
OMITTED = {
    "DoubleWell": _POINT,
    "EnergyBalance": _NOISE,
    "Lorenz63": _POINT,
    "Lorenz96": _SITES,
    "Lorenz96TwoScale": _SITES,
    "LotkaVolterra": _POINT,
    "OrnsteinUhlenbeck": _POINT,
    "Pendulum": _POINT,
    "ReplicatorMutator": _POINT,
    "Robertson": _POINT,
    "SIR": _POINT,
}
# The chimney's edge and the rivers are about as wide as a spacing.
OWN_GRID_LIMITS = {"SmokePlume": 2e-2, "Landscape": 0.1}
FAST = ("SIR", "DoubleWell", "Heat")


def _make(system, tmp_path, **changes):
    sampler, spec = default_dataset(system, (16, 0, 0), **changes)
    return generate(sampler, spec, cache_dir=tmp_path, devices=jax.local_devices()[:1])


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in FAST else pytest.mark.slow) for n in SYSTEMS_THAT_MOVE]
)
def test_the_default_data_set_of_every_system_is_certified(name, tmp_path):
    system = getattr(physics, name).example()
    sampler, spec = default_dataset(system, (16 if system.grid.ndim < 2 else 2, 0, 0))
    # A data set that breaks a limit, the system's own or the general one, is refused.
    made = generate(sampler, spec, cache_dir=tmp_path, devices=jax.local_devices()[:1])
    certificate = made.certificate
    assert certificate["trajectories"] == min(len(made.train), spec.limits.trajectories)
    assert 0 < certificate["step_error"] <= 1e-2
    assert certificate["horizon"] >= spec.dt
    if name in OMITTED:
        assert OMITTED[name] in certificate["grid_error_omitted"] and "grid_error" not in certificate
    else:
        assert 0 < certificate["grid_error"] <= OWN_GRID_LIMITS.get(name, 1e-2)
        assert certificate["unresolved"] < (0.1 if name == "Landscape" else 1e-2)
    # Chaos carries round-off further between snapshots.
    assert 0 <= certificate["defect"] < (1e-3 if system.chaotic else 1e-5)
    # For fields that are a tenth too small linear equations have a tenth less of it, up to rounding, all others more.
    assert 0 < certificate["residual_level"] < min(0.1, 2 * certificate["residual_of_shrunk"])
    assert all(drift < 1e-3 for drift in certificate["drift"].values())
    assert 0 < made.description["certificate_seconds"] < made.description["seconds"]


def test_only_two_systems_allow_themselves_more_than_a_percent_from_the_grid():
    limits = {name: default_dataset(getattr(physics, name).example())[1].limits for name in SYSTEMS_THAT_MOVE}
    assert {name: own.grid_error for name, own in limits.items() if own.grid_error != 1e-2} == OWN_GRID_LIMITS
    assert all(own.step_error <= 1e-2 for own in limits.values())


def test_trajectories_of_a_stochastic_data_set_follow_their_own_paths_which_the_defect_knows(tmp_path):
    sampler, spec = default_dataset(DoubleWell(), (4, 0, 0))
    made = generate(sampler, spec, cache_dir=tmp_path, devices=jax.local_devices()[:1])
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 0), 2)
    path = own_noise(sampler.system, key)
    assert isinstance(path, NoisePath) and own_noise(SIR(), key) is None
    again = advance(sampler.system, np.asarray(made.train[2, 1]), 0.05, 25, noise=path.after(25))
    assert np.allclose(again, made.train[2, 2], atol=1e-5)
    assert len(np.unique(np.asarray(made.train[:, -1]))) == 4


def test_too_long_a_step_along_a_noise_path_is_refused(tmp_path):
    with pytest.raises(CertificateRefusedError, match=r"step error \d\.\de[-+]\d+ > 1\.0e-02: halve dt to 0\.2"):
        _make(DoubleWell(), tmp_path, dt=0.4, stride=0.8)


def test_a_system_with_coefficients_in_space_is_refined_with_them():
    speed = 1.0 + 0.5 * np.cos(2 * np.pi * np.arange(16) / 16)
    finer = SeismicWave(RING, speed).refined(2)
    assert np.allclose(finer.speed, 1.0 + 0.5 * np.cos(2 * np.pi * np.arange(32) / 32), atol=1e-6)


@pytest.mark.slow
def test_a_chaotic_stochastic_flow_is_certified_along_its_path_past_its_spin_up(tmp_path):
    system = StochasticNavierStokes2D(Grid((32, 32), (2 * np.pi, 2 * np.pi)), 0.02, 0.1, noise_mode=2)
    made = _make(system, tmp_path, spin_up=1.0, stride=0.1, snapshots=2, grid_error=0.5)
    # Twice the points are stirred along the same path.
    assert made.certificate["defect"] < 1e-4 and made.certificate["grid_error"] < 0.1


@pytest.mark.parametrize("boundary", ["periodic", "neumann", "dirichlet"])
def test_white_noise_has_a_third_of_its_variance_in_the_shortest_third_of_waves_and_a_long_wave_none(boundary, key):
    system = Heat(Grid((48, 64), (1.0, 1.0), boundary))
    noise = np.random.default_rng(0).standard_normal((4, 48, 64, 1))
    # The largest of eight shares, of 17 / 47 along the axis of 48 periodic points.
    assert 1 / 3 < unresolved_share(noise, system) < 0.4
    x, y = np.meshgrid((np.arange(48) + 0.5) / 48, (np.arange(64) + 0.5) / 64, indexing="ij")
    wave = {"periodic": np.sin(2 * np.pi * x) * np.cos(4 * np.pi * y), "neumann": np.cos(np.pi * x) * np.cos(np.pi * y)}
    smooth = wave.get(boundary, np.sin(np.pi * x) * np.sin(2 * np.pi * y))[..., None]
    assert unresolved_share(smooth, system) < 1e-12
    assert unresolved_share(np.ones((48, 64, 1)), system) < (1e-12 if boundary != "dirichlet" else 0.05)


@pytest.mark.parametrize(("degree", "points"), [(2, 64), (3, 64), (2, 63)])
def test_of_what_a_dealiased_solver_made_the_last_third_of_its_own_waves_is_asked_about(degree, points):
    grid = Grid((points,), (1.0,))
    noise = jnp.asarray(np.random.default_rng(0).standard_normal((points, 1)), jnp.float32)
    rough = np.asarray(dealias(noise, grid, degree))
    system = Heat(grid)
    power = np.abs(np.fft.rfft(rough[:, 0])[1:]) ** 2
    cut = points / (degree + 1)
    expected = power[np.arange(1, len(power) + 1) >= 2 / 3 * cut].sum() / power.sum()
    assert unresolved_share(rough, system) < 1e-10
    assert 0.1 < unresolved_share(rough, system, dealiased=True) == pytest.approx(expected, rel=1e-3)
    # An initial field with short waves of its own beside it does not hide them.
    x = np.arange(points) / points
    raw = (10 * np.sin(2 * np.pi * x) + 0.1 * np.cos(2 * np.pi * (points // 2 - 1) * x))[:, None].astype(np.float32)
    both = unresolved_share(np.stack([raw, rough]), system, dealiased=True)
    assert both == pytest.approx(expected, rel=1e-3) and unresolved_share(raw, system, dealiased=True) < 1e-3
    smooth = np.sin(2 * np.pi * np.arange(points) / points)[:, None].astype(np.float32)
    assert unresolved_share(smooth, system, dealiased=True) < 1e-10


def test_an_initial_field_that_is_not_resolved_warns_with_the_figure(key):
    system, x = Burgers(RING, 0.1), RING.coordinates()[0]
    rough = np.sin(x)[:, None] + 0.5 * np.cos(7 * x)[:, None]
    with pytest.warns(
        UnresolvedFieldWarning, match=r"u0 is not resolved, 20\.0% of its variance > 1%.*use more points"
    ):
        solve(system, rough, [0.1], dt=0.05)


def test_a_data_set_whose_fields_are_not_resolved_warns_and_keeps_the_figure(tmp_path):
    _, spec = default_dataset(Heat(RING, 0.01), (4, 0, 0))
    sampler = FixedSystem(Heat(RING, 0.01), BandLimitedField(RING, 7))
    with pytest.warns(UnresolvedFieldWarning, match="a field of the data set is not resolved"):
        made = generate(sampler, spec, cache_dir=tmp_path, devices=jax.local_devices()[:1])
    assert made.certificate["unresolved"] > 0.2


def test_a_warning_names_the_line_of_the_users_program(tmp_path):
    """In a fresh process, since the type checks of these tests put frames of their own between the calls."""
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\n"
        "from physics import BandLimitedField, FixedSystem, Grid, Heat, default_dataset, generate, solve\n"
        "grid = Grid((16,), (2 * np.pi,))\n"
        "system = Heat(grid, 0.01)\n"
        "solve(system, (-1.0) ** np.arange(16)[:, None], [0.01], dt=0.01)\n"
        "sampler = FixedSystem(system, BandLimitedField(grid, 7))\n"
        f"generate(sampler, default_dataset(system, (4, 0, 0))[1], cache_dir={str(tmp_path)!r})\n"
    )
    done = subprocess.run([sys.executable, "-W", "always", program], capture_output=True, text=True, check=True)
    said = [line for line in done.stderr.splitlines() if "UnresolvedFieldWarning" in line]
    assert [line.partition(" Unres")[0] for line in said] == [f"{program}:{number}:" for number in (5, 7)]
