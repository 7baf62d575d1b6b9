"""Certificates: round-off where the solver is its own judge, refusal with a remedy where one is broken."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from physics import (
    Burgers,
    CertificateRefusedError,
    DatasetSpec,
    FixedSystem,
    Grid,
    Heat,
    KuramotoSivashinsky,
    Limits,
    Lorenz63,
    OrnsteinUhlenbeck,
    SeismicWave,
    Wave,
    generate,
    residual,
    solve,
)
from physics.data.cache import Cache
from physics.data.certificate import enforce_limits
from physics.data.generation import _certainly_steady
from physics.data.residual_level import no_residual_level, residual_level


def _spec(**changes):
    options = {
        "snapshots": 2,
        "spin_up": 10.0,
        "stride": 0.8,
        "dt": 0.1,
        "limits": Limits(trajectories=4, horizon=4.0),
    }
    return DatasetSpec("certified", (8, 0, 0), **(options | changes))


def _waves(points, tmp_path, **changes):
    sampler = FixedSystem(KuramotoSivashinsky(Grid((points,), (22.0,))))
    return generate(sampler, _spec(**changes), cache_dir=tmp_path, devices=jax.local_devices()[:1])


def test_the_defect_of_stored_snapshots_is_round_off(tmp_path):
    certificate = _waves(32, tmp_path).certificate
    assert 0 < certificate["defect"] < 1e-5 and certificate["defect_over"].startswith("8 steps")
    assert certificate["drift"]["mean"] < 1e-6
    assert certificate["horizon"] == pytest.approx(4.0) and certificate["trajectories"] == 4


@pytest.mark.float64
def test_the_step_error_falls_with_the_order_of_the_solver(tmp_path):
    limits = Limits(trajectories=4, horizon=2.0)
    coarse, fine = (_waves(32, tmp_path, dt=dt, dtype="float64", limits=limits) for dt in (0.02, 0.01))
    ratio = coarse.certificate["step_error_median"] / fine.certificate["step_error_median"]
    assert np.log2(ratio) == pytest.approx(4, abs=0.3)
    assert fine.certificate["defect"] < 1e-13
    # The residual level is the error of a difference in time of fourth order.
    levels = [made.certificate["residual_level"] for made in (coarse, fine)]
    assert np.log2(levels[0] / levels[1]) == pytest.approx(4, abs=0.3)
    assert levels[0] < 1e-3 < fine.certificate["residual_of_shrunk"] and fine.certificate["residual_of_zero"] == 0
    # The grid error does not know the step.
    assert coarse.certificate["grid_error_median"] == pytest.approx(fine.certificate["grid_error_median"], rel=0.3)


def test_too_long_a_step_is_refused_with_the_half_of_it(tmp_path):
    with pytest.raises(CertificateRefusedError, match=r"step error \d\.\de[-+]\d+ > 1\.0e-02: halve dt to 0\.4"):
        _waves(32, tmp_path, dt=0.8, spin_up=8.0, limits=Limits(trajectories=4))
    assert Cache(tmp_path).entries() == []


def test_too_few_points_are_refused_with_twice_as_many(tmp_path):
    with pytest.raises(CertificateRefusedError, match=r"grid error \d\.\de[-+]\d+ > 1\.0e-02: use 32 points"):
        _waves(16, tmp_path)


def test_a_chaotic_system_that_falls_onto_a_steady_state_is_refused(tmp_path):
    sampler = FixedSystem(KuramotoSivashinsky(Grid((32,), (32.0,))))
    limits = Limits(trajectories=4, horizon=1.0, grid_error=1.0)
    with pytest.raises(CertificateRefusedError, match=r"steady share [1-9]\.\de-01 > 5\.0e-03: change the domain"):
        generate(sampler, _spec(snapshots=1, spin_up=250.0, limits=limits), cache_dir=tmp_path)


def test_data_that_go_steady_are_refused_before_all_of_them_are_made(tmp_path):
    sampler, told = FixedSystem(KuramotoSivashinsky(Grid((32,), (32.0,)))), []
    limits = Limits(trajectories=4, horizon=1.0, grid_error=1.0)
    spec = replace(_spec(snapshots=1, spin_up=250.0, limits=limits, chunk=4), trajectories=(64, 2, 2))
    one = {"devices": jax.local_devices()[:1], "cache_dir": tmp_path}
    with pytest.raises(CertificateRefusedError, match="steady share"):
        generate(sampler, spec, progress=lambda done, total, what: told.append(done), **one)
    assert 4 <= max(told) < 40 and Cache(tmp_path).entries() == []


def test_a_few_steady_trajectories_are_no_proof():
    change = np.full(1000, 0.1)
    change[:8] = 0.0
    assert not _certainly_steady(change, 5e-3)
    change[:20] = 0.0
    assert _certainly_steady(change, 5e-3) and not _certainly_steady(change, 1.0)
    assert not _certainly_steady(np.full(64, 0.1), 0.0)


def test_fronts_too_sharp_for_the_grid_are_refused(tmp_path):
    sampler = FixedSystem(Burgers(Grid((32,), (2 * np.pi,)), 0.005))
    with pytest.raises(CertificateRefusedError, match=r"use 64 points"):
        generate(sampler, _spec(spin_up=0.0, stride=2.0, dt=0.05, limits=Limits()), cache_dir=tmp_path)


@pytest.mark.float64
def test_a_system_without_space_is_certified_without_a_finer_grid(tmp_path):
    # In float64: in float32 the residual of steps this short is rounding.
    limits = Limits(trajectories=4, horizon=0.5)
    spec = _spec(dt=0.01, spin_up=5.0, stride=0.1, limits=limits, dtype="float64")
    made = generate(FixedSystem(Lorenz63()), spec, cache_dir=tmp_path, devices=jax.local_devices()[:1])
    assert made.train.shape == (8, 2, 3) and "grid_error" not in made.certificate
    assert made.certificate["step_error"] < 1e-4 and made.certificate["steady_share"] == 0
    # Its residual level, taken from the stored fields once more.
    rows = [solve(Lorenz63(), u, 0.01 * np.arange(5), dt=0.01) for u in made.train[:4, -1]]
    change = np.square([Lorenz63().vector_field(0.0, row[2]) for row in rows]).mean()
    for name, share in (("residual_level", 1.0), ("residual_of_shrunk", 0.9)):
        found = np.square([residual(Lorenz63(), share * row, 0.01, order=4) for row in rows]).mean()
        assert made.certificate[name] == pytest.approx(np.sqrt(found / change), rel=1e-4)


@pytest.mark.parametrize(
    ("boundary", "values"), [("dirichlet", ((1.0, 3.0),)), ("neumann", ((0.5, -0.2),))], ids=["held", "inflow"]
)
def test_heat_between_given_boundary_values_is_certified_as_exactly_as_without_them(boundary, values, tmp_path):
    # Its sine or cosine series alone, which the values are no part of, would jump at the walls.
    sampler = FixedSystem(Heat(Grid((16,), (2.0,), boundary), 0.1, values))
    spec = _spec(snapshots=3, spin_up=0.0, dtype="float64", limits=Limits(trajectories=4))
    certificate = generate(sampler, spec, cache_dir=tmp_path, devices=jax.local_devices()[:1]).certificate
    assert certificate["grid_error"] < 1e-10 and certificate["unresolved"] < 1e-10


def test_an_invariant_that_is_nothing_at_rest_drifts_relative_to_what_moves_later(tmp_path):
    spec = _spec(snapshots=3, spin_up=0.0, limits=Limits(trajectories=4))
    made = generate(FixedSystem(Wave(Grid((64,), (6.0,)))), spec, cache_dir=tmp_path, devices=jax.local_devices()[:1])
    assert made.certificate["drift"]["mean_velocity"] < 1e-5


def test_twice_the_points_of_an_explicit_solver_take_the_steps_that_they_are_stable_with(tmp_path):
    # The finer grid is not stable with the step that is recommended here.
    grid = Grid((64,), (4.0,))
    system = SeismicWave(grid, 1.5 + 0.5 * np.cos(2 * np.pi * np.arange(64) / 64))
    assert system.recommended_dt > 1.9 * system.refined(2).recommended_dt
    dt = 1.9 * system.recommended_dt
    spec = _spec(snapshots=2, spin_up=0.0, stride=100 * dt, dt=dt, limits=Limits(trajectories=2, step_error=0.1))
    made = generate(FixedSystem(system), spec, cache_dir=tmp_path, devices=jax.local_devices()[:1])
    assert made.certificate["grid_error"] < 1e-2


def test_the_certificate_is_measured_on_as_many_trajectories_as_its_limits_say_however_long_a_chunk_is(tmp_path):
    assert _waves(32, tmp_path, chunk=2).certificate["trajectories"] == 4
    assert _waves(32, tmp_path, chunk=2, limits=Limits(horizon=4.0)).certificate["trajectories"] == 8


def test_every_broken_limit_is_named_in_one_sentence():
    certificate = {
        "step_error": 0.03,
        "grid_error": float("nan"),
        "defect": 1e-7,
        "drift": {"mean": 0.5, "momentum": 0},
    }
    with pytest.raises(CertificateRefusedError) as refused:
        enforce_limits(certificate, Limits(), name="d", shape=(64, 32), dt=0.1)
    assert str(refused.value) == (
        "data set 'd' is refused, step error 3.0e-02 > 1.0e-02: halve dt to 0.05; grid error is not finite: "
        "use 128x64 points with dt = 0.05; drift of invariant 'mean' 5.0e-01 > 1.0e-03: halve dt to 0.05 or use float64"
    )
    enforce_limits({"step_error": 0.01, "drift": {}}, Limits(), name="d", shape=(64,), dt=0.1)


def test_the_residual_level_of_a_stochastic_system_is_read_along_its_path(tmp_path):
    spec = _spec(dt=0.01, spin_up=0.0, stride=0.1, limits=Limits(trajectories=8))
    made = generate(FixedSystem(OrnsteinUhlenbeck()), spec, cache_dir=tmp_path, devices=jax.local_devices()[:1])
    # Without the path none of the change would be explained, no more than by the zero field.
    certificate = made.certificate
    assert 0 < certificate["residual_level"] < 0.03 < certificate["residual_of_shrunk"] < 0.2
    assert certificate["residual_of_zero"] == pytest.approx(1.0, abs=0.2)


class _Multiplicative(OrnsteinUhlenbeck):
    additive = False


def test_a_residual_level_that_cannot_be_read_is_left_out_and_said_to_be():
    assert "noise depends on its state" in no_residual_level(_Multiplicative())
    assert no_residual_level(OrnsteinUhlenbeck()) is no_residual_level(Lorenz63()) is None
    zero, change = np.array([1.0, np.nan]), np.array([1.0, 7.0])
    squares = {"residual_level": np.ones(2), "residual_of_zero": zero, "change": change}
    assert residual_level(squares) == {"residual_level": 0.5}
    assert residual_level(squares | {"change": np.zeros(2)}) == {"residual_level_omitted": "no field changes"}


def test_limits_are_positive():
    with pytest.raises(ValueError, match="limit drift is 0"):
        Limits(drift=0.0)
    for horizon in (float("nan"), 0.0):
        with pytest.raises(ValueError, match=f"limit horizon is {horizon}: it must be a positive, finite time"):
            Limits(horizon=horizon)
    with pytest.raises(ValueError, match="certify at least 1"):
        Limits(trajectories=0)


@pytest.mark.parametrize(
    ("error", "said"), [(0.5, "grid error 5.0e-01 > "), (float("nan"), "grid error is not finite")]
)
def test_a_refused_grid_names_the_points_and_the_step_that_they_need(error, said):
    with pytest.raises(CertificateRefusedError) as caught:
        enforce_limits({"grid_error": error, "grid_dt": 0.02}, Limits(), name="waves", shape=(16, 32), dt=0.1)
    assert said in str(caught.value)
    assert f"32x64 points with dt = {0.02 if error == 0.5 else 0.01:g}" in str(caught.value)


def test_a_single_number_that_passes_zero_is_certified_by_its_size_over_all_times(tmp_path):
    spec = DatasetSpec("noisy", (16, 0, 0), snapshots=4, spin_up=1.25, stride=1.25, dt=0.025)
    made = generate(FixedSystem(OrnsteinUhlenbeck.example()), spec, cache_dir=tmp_path, devices=jax.local_devices()[:1])
    # Relative to the number at the same time the worst of these trajectories is a hundred times further off.
    assert 0 < made.certificate["step_error"] < 1e-3
