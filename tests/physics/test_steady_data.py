"""Pairs of parameters and solutions: what is drawn, what is certified of it, and what is refused."""

import inspect

import jax
import numpy as np
import pytest

import physics
from physics import (
    CertificateRefusedError,
    Darcy,
    Grid,
    Helmholtz,
    KarhunenLoeveField,
    LogNormalDarcy,
    Poisson,
    RandomSource,
    SteadyLimits,
    SteadySystem,
    default_steady_data,
    generate_steady,
    resolve_error,
)
from physics.data.cache import usage

COARSE = Grid((16, 16), (1.0, 1.0), "neumann")
WALLED = Grid((12, 12), (1.0, 1.0), "dirichlet")
SAMPLER = LogNormalDarcy(KarhunenLoeveField(COARSE, 8, 0.3))


LIMITS = SteadyLimits(residual=1e-8, grid_error=0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pairs")


@pytest.fixture(scope="module")
def data(folder):
    return generate_steady(SAMPLER, 70, dtype="float64", limits=LIMITS, cache_dir=folder)


@pytest.mark.float64
def test_pairs_solve_their_equation_and_the_certificate_says_how_well(data):
    assert data.parameters.shape == data.fields.shape == (70, 16, 16, 1) and data.fields.dtype == np.float64
    assert len(np.unique(data.parameters[:, 0, 0, 0])) == 70
    source = SAMPLER.draw(jax.random.key(0)).source
    for number in (0, 69):
        assert resolve_error(Darcy(COARSE, data.parameters[number], source), data.fields[number]) < 1e-8
    certificate = data.certificate
    assert certificate["residual"] < 1e-8 and np.isclose(certificate["residual_of_zero"], 1.0)
    assert np.isclose(certificate["residual_of_shrunk"], 0.1) and certificate["pairs"] == 8


@pytest.mark.float64
def test_the_certified_grid_error_falls_at_second_order(data, folder):
    # The same permeability functions, told by their nodes, on half the spacing.
    limits = SteadyLimits(grid_error=0.1)
    finer = generate_steady(SAMPLER.refined(2), 8, dtype="float64", limits=limits, cache_dir=folder)
    assert np.allclose(finer.parameters[0].reshape(16, 2, 16, 2).mean((1, 3)), data.parameters[0, ..., 0], rtol=0.1)
    order = np.log2(data.certificate["grid_error_median"] / finer.certificate["grid_error_median"])
    assert 1.5 < order < 2.5, (data.certificate, finer.certificate)


@pytest.mark.float64
@pytest.mark.parametrize("damage", [b"short", pytest.param(b"", marks=pytest.mark.slow), None])
def test_pairs_once_made_are_read_from_the_cache_and_a_damaged_entry_is_made_again(data, folder, tmp_path, damage):
    asked = {"dtype": "float64", "limits": LIMITS}
    told = []
    cached = generate_steady(SAMPLER, 70, **asked, cache_dir=folder, progress=lambda *how_far: told.append(how_far))
    assert not told and cached.certificate == data.certificate
    assert np.array_equal(cached.parameters, data.parameters) and np.array_equal(cached.fields, data.fields)
    # In another directory they are made; an array that went missing brings all of it back.
    first = generate_steady(SAMPLER, 2, **asked, cache_dir=tmp_path)
    (entry,) = usage(tmp_path)
    assert entry.complete and not entry.in_use and entry.name == "steady pairs of LogNormalDarcy"
    flipped = bytearray((entry.path / "fields.npy").read_bytes())
    flipped[-1] ^= 1
    (entry.path / "fields.npy").write_bytes(flipped if damage is None else damage)
    with pytest.warns(UserWarning, match="does not hold steady pairs"):
        again = generate_steady(SAMPLER, 2, **asked, cache_dir=tmp_path, progress=lambda *how_far: told.append(how_far))
    assert told[-1] == (2, 2, "pairs") and np.array_equal(again.fields, first.fields)


@pytest.mark.float64
def test_an_interrupted_run_goes_on_where_it_was(data, tmp_path):
    asked = {"dtype": "float64", "limits": LIMITS, "cache_dir": tmp_path}

    def interrupt(done, total, what):
        if done >= 64:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_steady(SAMPLER, 70, **asked, progress=interrupt)
    (left,) = usage(tmp_path)
    assert not left.complete
    before = (left.path / "chunks.done").read_bytes()
    resumed = generate_steady(SAMPLER, 70, **asked)
    assert before == b"\1" and np.array_equal(resumed.fields, data.fields)


@pytest.mark.float64
@pytest.mark.parametrize("wavenumber", [None, pytest.param(3.0, marks=pytest.mark.slow)], ids=["poisson", "helmholtz"])
def test_a_random_source_drives_its_equation_and_is_the_same_function_on_twice_the_cells(wavenumber, tmp_path, key):
    sampler = RandomSource(KarhunenLoeveField(WALLED, 8, 0.3), wavenumber)
    made = generate_steady(sampler, 2, dtype="float64", limits=LIMITS, cache_dir=tmp_path)
    for source, u in zip(made.parameters, made.fields, strict=True):
        system = Poisson(WALLED, source) if wavenumber is None else Helmholtz(WALLED, source, wavenumber)
        assert resolve_error(system, u) < 1e-8
    first, finer = (s.parameters(s.draw(key))[..., 0] for s in (sampler, sampler.refined(2)))
    assert np.abs(finer.reshape(12, 2, 12, 2).mean((1, 3)) - first).max() < 0.1 * np.abs(first).max()


def test_a_source_in_a_closed_box_is_drawn_without_its_mean(key):
    closed = RandomSource(KarhunenLoeveField(Grid((8, 8), (1.0, 1.0), "neumann"), 4)).draw(key)
    assert abs(np.mean(closed.source)) < 1e-6 < np.abs(closed.source).max()
    walled = RandomSource(KarhunenLoeveField(Grid((8, 8), (1.0, 1.0), "dirichlet"), 4)).draw(key)
    assert abs(np.mean(walled.source)) > 1e-3


STEADY_SYSTEMS = [
    pytest.param(public, marks=[] if public is Poisson else pytest.mark.slow, id=name)
    for name, public in ((name, getattr(physics, name)) for name in physics.__all__)
    if isinstance(public, type) and issubclass(public, SteadySystem) and not inspect.isabstract(public)
]


@pytest.mark.parametrize("system", STEADY_SYSTEMS)
def test_the_default_data_of_every_steady_system_are_certified(system, tmp_path):
    sampler = default_steady_data(system)
    assert type(sampler.draw(jax.random.key(0))) is system
    # Data that break a limit are refused.
    made = generate_steady(sampler, 8, cache_dir=tmp_path)
    assert made.fields.shape == made.parameters.shape == (8, 64, 64, 1)
    certificate = made.certificate
    assert 0 < certificate["grid_error"] <= 1e-2 and certificate["residual"] < 1e-2 < certificate["residual_of_shrunk"]


def test_data_beyond_a_limit_are_refused_with_the_remedy_and_leave_nothing(tmp_path):
    with pytest.raises(CertificateRefusedError, match=r"grid error .* > 1\.0e-06: use 32x32 cells"):
        generate_steady(SAMPLER, 2, limits=SteadyLimits(grid_error=1e-6), cache_dir=tmp_path)
    assert not usage(tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogNormalDarcy(KarhunenLoeveField(Grid((8, 8), (1.0, 1.0)), 4)), "walls all 'neumann' or all"),
        (lambda: RandomSource(KarhunenLoeveField(WALLED, 4), 5.0), "not below the first resonance"),
        (lambda: default_steady_data(SteadySystem), "SteadySystem has no default data: write a SteadySampler"),
        (lambda: generate_steady(SAMPLER, 0), "count is 0"),
        (lambda: generate_steady(SAMPLER, 2, dtype="float16"), "dtype is 'float16'"),
        (lambda: SteadyLimits(residual=0.0), "limit residual is 0.0"),
    ],
)
def test_impossible_requests_are_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
