"""Fields from a file of one's own: every format, what each axis is, the split, masks, transforms, and a whole run."""

import json
from functools import partial

import h5py
import jax
import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

import experiments
import physics
from experiments import cli, export
from experiments.errors import UserError
from experiments.evaluation.results import Baselines, Planning, Refinement, Scores, Tests, Worth
from experiments.evaluation.two_sample import battery, classifiers
from experiments.own_data import description, readers, splits, transforms
from experiments.own_data.contents import checksum
from experiments.own_data.preparation import Wishes, prepare

TIMES, ROWS, COLUMNS = 300, 4, 6


def fields(times: int = TIMES, seed: int = 0) -> np.ndarray:
    """Independent fields (time, y, x)."""
    return np.random.default_rng(seed).standard_normal((times, ROWS, COLUMNS)).astype(np.float32)


def dataset(values: np.ndarray, name: str = "temperature") -> xarray.Dataset:
    """The fields with coordinates and units."""
    return xarray.Dataset(
        {name: (("time", "lat", "lon"), values, {"units": "K"})},
        {
            "time": ("time", np.arange(len(values)), {"units": "days since 2000-01-01"}),
            "lat": ("lat", np.linspace(-60.0, 60.0, ROWS), {"units": "degrees_north"}),
            "lon": ("lon", 60.0 * np.arange(COLUMNS), {"units": "degrees_east"}),
        },
    )


def write(path, values: np.ndarray) -> tuple[str, ...]:
    """Write the fields in the format of the suffix; return what has to be said of the axes."""
    if path.name.endswith(".npy"):
        np.save(path, values)
        return ("time", "lat", "lon")
    if path.name.endswith(".npz"):
        np.savez(path, temperature=values, other=np.arange(3))
        return ("time", "lat", "lon")
    if path.name.endswith(".zarr"):
        given = export.Fields(
            values[..., None],
            ("sample", "y", "x", "channel"),
            {"y": np.linspace(-60.0, 60.0, ROWS), "x": 60.0 * np.arange(COLUMNS)},
            ("temperature",),
            {"temperature": "K"},
        )
        export.write(given, path)
        return ()
    if path.name.endswith(".nc"):
        dataset(values).to_netcdf(path, engine="scipy")
        return ()
    with h5py.File(path, "w") as file:
        made = file.create_dataset("group/temperature", data=values)
        made.attrs["units"] = "K"
        for axis, name in enumerate(("time", "lat", "lon")):
            scale = file.create_dataset(name, data=np.arange(values.shape[axis], dtype=float))
            scale.make_scale(name)
            made.dims[axis].attach_scale(scale)
    return ()


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5", "a.nc", "a.zarr"])
def test_every_format_is_read_to_the_same_fields(tmp_path, name):
    values = fields(20)
    axes = write(tmp_path / name, values)
    chosen = ("temperature",) if name.endswith("z") else ()
    found = description.layout(readers.read(tmp_path / name), chosen, axes)
    roles = [one.role for one in found.axes]
    assert roles == ["sample" if name.endswith("zarr") else "time", "space", "space"]
    samples, times = found.counts()
    np.testing.assert_array_equal(found.loaded()[..., 0].reshape(20, ROWS, COLUMNS), values)
    assert samples * times == 20
    said = description.describe(found)
    assert said.low == (pytest.approx(values.min()),) and said.missing == 0
    if not axes:
        assert found.units == ("K",)
        assert "K" in said.sentence()


@pytest.mark.parametrize("version", ["zarr", "zarr3"])
def test_both_formats_of_zarr_are_read_with_the_names_of_their_axes(tmp_path, version):
    import tensorstore

    values = fields(5)
    dims = ["time", "y", "x"]
    metadata = {"shape": values.shape}
    if version == "zarr3":
        metadata |= {"data_type": "float32", "dimension_names": dims}
    else:
        metadata |= {"dtype": "<f4"}
    place = {"driver": "file", "path": str(tmp_path / "a.zarr" / "u")}
    spec = {"driver": version, "kvstore": place, "metadata": metadata}
    tensorstore.open(spec, create=True).result().write(values).result()
    if version == "zarr":
        (tmp_path / "a.zarr" / "u" / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": dims}))
    variable = readers.read(tmp_path / "a.zarr").variables["u"]
    assert variable.dims == ("time", "y", "x")
    np.testing.assert_array_equal(variable.values(slice(1, 3)), values[1:3])


def test_missing_values_scale_and_offset_are_those_of_the_attributes(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        made = file.create_dataset("u", data=np.array([[1, 2], [-999, 4]], np.int16))
        made.attrs.update({"_FillValue": np.int16(-999), "scale_factor": 0.5, "add_offset": 10.0})
    read = readers.read(tmp_path / "a.nc").variables["u"].values()
    np.testing.assert_array_equal(read, [[10.5, 11.0], [np.nan, 12.0]])


def test_a_table_is_a_time_series_of_channels_or_samples_of_points(tmp_path):
    rows = ["time,wind speed,power,site"] + [f"2020-01-{i:02d},{i}.5,{2 * i},a" for i in range(1, 10)]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    found = description.layout(readers.read(tmp_path / "a.csv"))
    assert found.channels == ("wind_speed", "power")
    assert [(one.name, one.role) for one in found.axes] == [("time", "time")]
    np.testing.assert_array_equal(found.loaded()[0, :, 1], 2.0 * np.arange(1, 10))
    (tmp_path / "b.csv").write_text("a;b\n1;2\n3;\n")
    table = readers.read(tmp_path / "b.csv")
    assert np.isnan(table.variables["b"].values()[1])
    assert description.layout(table).axes[0].role == "sample"


def test_axes_are_read_from_attributes_before_names():
    def role(name, **attrs):
        return description._role(name, attrs)

    assert role("when", units="hours since 1900-01-01") == "time"
    assert role("a", axis="X") == "space" and role("b", standard_name="latitude") == "space"
    assert role("lon2") == "space" and role("member") == "sample" and role("Time") == "time"
    assert role("dim_0") is None


def test_components_and_samples_may_stand_anywhere(tmp_path):
    values = np.arange(2 * 3 * 5 * 4, dtype=float).reshape(2, 3, 5, 4)
    np.save(tmp_path / "a.npy", values)
    found = description.layout(readers.read(tmp_path / "a.npy"), (), ("channel", "x", "member", "time"))
    assert found.counts() == (5, 4) and found.channels == ("a_0", "a_1")
    np.testing.assert_array_equal(found.loaded(), values.transpose(2, 3, 1, 0))


@pytest.mark.parametrize(
    ("make", "chosen", "axes", "expected"),
    [
        (lambda p: np.save(p / "a.npy", fields(5)), (), (), "--axes"),
        (lambda p: np.save(p / "a.npy", fields(5)), (), ("time", "x"), "--axes time,x names 2"),
        (lambda p: np.save(p / "a.npy", fields(5)), ("b",), (), "--variable b is not"),
        (
            lambda p: np.save(p / "a.npy", np.zeros((2, 3, 4, 5, 6))),
            (),
            ("time", "a", "b", "c", "d"),
            "4 axes of space",
        ),
        (lambda p: np.save(p / "a.npy", np.zeros((3, 4))), (), ("y", "x"), "single field"),
        (lambda p: np.save(p / "a.npy", np.array(["a"])), (), (), "no array"),
        (lambda p: (p / "a.npy").write_bytes(b"nothing"), (), (), "cannot be read"),
        (lambda p: None, (), (), "does not exist"),
        (lambda p: (p / "a.txt").write_text("1"), (), (), "ending"),
        (lambda p: np.savez(p / "a.npz", u=fields(5), v=fields(5)), (), (), "--variable"),
        (lambda p: (p / "a.csv").write_text("1,2\n3,4\n"), (), (), "name every column"),
        (lambda p: (p / "a.csv").write_text("a,b\n3\n"), (), (), "line 2 has 1"),
        (
            lambda p: xarray.Dataset({"u": (("dim_0", "x"), np.zeros((3, 4)))}).to_netcdf(p / "a.nc", engine="scipy"),
            (),
            (),
            "dim_0",
        ),
    ],
)
def test_what_cannot_be_decided_is_refused_with_what_to_give(tmp_path, make, chosen, axes, expected):
    make(tmp_path)
    path = next(iter(tmp_path.iterdir()), tmp_path / "none.npy")
    with pytest.raises(UserError) as caught:
        description.layout(readers.read(path), chosen, axes)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def laid_out(path, values, axes=("time", "y", "x"), **given):
    np.save(path / "a.npy", values)
    return description.layout(readers.read(path / "a.npy"), (), axes, **given)


@settings(deadline=None, max_examples=60)
@given(
    times=st.integers(3, 500),
    gap=st.integers(0, 20),
    shares=st.tuples(*[st.floats(0.05, 1.0)] * 3),
)
def test_blocks_of_time_follow_one_another_with_the_gap_between(times, gap, shares):
    try:
        found = splits.blocks(times, shares, gap)
    except ValueError:
        assert int((times - 2 * gap) * min(shares) / sum(shares)) < 1
        return
    train, validation, test = (found[name] for name in splits.SPLITS)
    assert train.start == 0 and test.stop == times
    assert validation.start - train.stop == gap and test.start - validation.stop == gap
    assert all(one.stop > one.start for one in (train, validation, test))


def test_no_field_is_in_two_splits_and_held_out_fields_come_later(tmp_path):
    stamped = np.broadcast_to(np.arange(TIMES, dtype=np.float32)[:, None, None], (TIMES, ROWS, COLUMNS))
    values = stamped + 1e-3 * fields()
    wishes = Wishes(patch=2, gap=7)
    prepared = prepare(laid_out(tmp_path, values), wishes)
    seen = [set(np.rint(part.mean(axis=(1, 2, 3))).astype(int)) for part in (prepared.train, prepared.validation)]
    tested = set(np.rint(prepared.test.mean(axis=(1, 2, 3))).astype(int))
    assert max(seen[0]) + 7 < min(seen[1]) and max(seen[1]) + 7 < min(tested)
    assert prepared.train.shape[1:] == (2, 2, 1) and len(prepared.train) == 6 * len(seen[0])


def test_independent_samples_and_labels_are_never_divided(tmp_path):
    stamped = np.broadcast_to(np.arange(20, dtype=np.float32)[:, None, None], (20, 30, COLUMNS)) + 0.0
    stamped = stamped + 1e-3 * np.random.default_rng(0).standard_normal(stamped.shape)
    prepared = prepare(laid_out(tmp_path, stamped, ("member", "time", "x")), Wishes())
    parts = [set(np.rint(one.mean(axis=(1, 2))).astype(int)) for one in (prepared.train, prepared.validation)]
    tested = set(np.rint(prepared.test.mean(axis=(1, 2))).astype(int))
    assert not parts[0] & parts[1] and not parts[1] & tested and not parts[0] & tested
    assert parts[0] | parts[1] | tested == set(range(20))

    subjects = np.random.default_rng(1).permutation(np.repeat(np.arange(20), 30))
    rows = [f"s{i},{i + 0.001 * n},{n}" for n, i in enumerate(subjects)]
    (tmp_path / "a.csv").write_text("\n".join(["subject,u,v", *rows]))
    found = description.layout(readers.read(tmp_path / "a.csv"), (), (), "subject")
    assert found.channels == ("u", "v")
    prepared = prepare(found, Wishes(labels="subject"))
    parts = [set(np.floor(one[:, 0]).astype(int)) for one in (prepared.train, prepared.validation, prepared.test)]
    assert sum(map(len, parts)) == 20 and len(set.union(*parts)) == 20


def test_a_series_that_remembers_is_worth_fewer_fields_and_its_test_fields_are_thinned(tmp_path):
    rng, rho = np.random.default_rng(0), 0.9
    series = np.zeros((6000, 8), np.float32)
    for i in range(1, len(series)):
        series[i] = rho * series[i - 1] + np.sqrt(1 - rho**2) * rng.standard_normal(8)
    found = splits.correlation(series)
    assert found.time == pytest.approx((1 + rho) / (1 - rho), rel=0.25)
    assert found.reach == pytest.approx(np.log(0.05) / np.log(rho), rel=0.3)
    prepared = prepare(laid_out(tmp_path, series, ("time", "x")), Wishes())
    assert prepared.trained_on < len(prepared.train) / 10
    assert len(prepared.test) < 1200 / 10
    independent = prepare(laid_out(tmp_path, rng.standard_normal((1000, 8)), ("time", "x")), Wishes())
    assert independent.trained_on == len(independent.train) and len(independent.test) > 190


def test_patches_of_one_field_that_are_alike_count_less(tmp_path):
    rng = np.random.default_rng(0)
    common = rng.standard_normal((400, 1)) + 0.1 * rng.standard_normal((400, 16))
    alike = prepare(laid_out(tmp_path, common, ("time", "x")), Wishes(patch=4))
    apart = prepare(laid_out(tmp_path, rng.standard_normal((400, 16)), ("time", "x")), Wishes(patch=4))
    assert alike.trained_on < 0.35 * len(alike.train)
    assert apart.trained_on > 0.8 * len(apart.train)


def test_points_that_are_always_missing_are_filled_and_come_back_as_missing(tmp_path):
    values = 5 + fields()
    values[:, 1, 2:4] = np.nan
    prepared = prepare(laid_out(tmp_path, values), Wishes())
    held = prepared.missing[..., 0]
    assert held.sum() == 2 and held[1, 2] and held[1, 3]
    assert np.isfinite(prepared.train).all()
    np.testing.assert_allclose(prepared.train[:, held, 0], prepared.fill[0])
    assert prepared.fill[0] == pytest.approx(np.nanmean(values[: len(prepared.train)]), rel=1e-5)
    wild = np.full((3, ROWS, COLUMNS, 1), 9.0, np.float32)
    np.testing.assert_allclose(prepared.masked(wild)[:, held, 0], prepared.fill[0])
    assert np.isnan(prepared.physical(wild)[:, held]).all() and (prepared.physical(wild)[:, ~held] == 9).all()
    tiles = prepare(laid_out(tmp_path, values), Wishes(patch=2))
    assert tiles.missing is None and np.isfinite(tiles.train).all()


def test_values_missing_here_and_there_are_refused(tmp_path):
    values = fields()
    values[3, 0, 0] = np.nan
    with pytest.raises(UserError, match="fill them"):
        prepare(laid_out(tmp_path, values), Wishes())


@pytest.mark.parametrize("kind", ["log", "boxcox"])
def test_transforms_are_undone_on_output_and_make_skewed_values_less_so(kind):
    from scipy.stats import skew

    values = np.random.default_rng(0).gamma(0.7, 3.0, (500, 4)).astype(np.float32)
    for given_values in (values, np.where(values < 0.2, 0, values)):
        found = transforms.fit(kind, given_values, "rain")
        np.testing.assert_allclose(found.inverse(found(given_values)), given_values, rtol=1e-3, atol=1e-5)
        assert abs(skew(found(given_values), axis=None)) < 0.6 * skew(given_values, axis=None)
        beyond = found.inverse(np.array([-1e4, 1e4], np.float32))
        assert np.isfinite(beyond).all() and (beyond >= 0).all()
    with pytest.raises(UserError, match="positive"):
        transforms.fit(kind, values - 5, "rain")


def test_what_cannot_be_prepared_is_refused(tmp_path):
    for values, wishes, expected in (
        (fields(40), Wishes(), "fields"),
        (fields(), Wishes(patch=5), "--patch 5"),
        (fields(), Wishes(transform=("log", "log")), "--transform"),
        (fields(), Wishes(transform=("log",)), "positive"),
        (fields(), Wishes(labels="subject"), "--group subject"),
        (fields(20), Wishes(gap=10), "--data.gap"),
    ):
        with pytest.raises(UserError, match=expected):
            prepare(laid_out(tmp_path, values), wishes)


def test_a_checksum_tells_files_of_the_same_size_apart(tmp_path):
    for name, values in (("a.npy", fields()), ("b.npy", fields()), ("c.npy", fields(seed=1))):
        np.save(tmp_path / name, values)
    first, same, other = (checksum(tmp_path / f"{name}.npy") for name in "abc")
    assert first == same != other


@pytest.fixture(scope="module", autouse=True)
def _small_classifiers():
    """Comparisons with few trees and steps: what they find is the business of other tests."""
    patch = pytest.MonkeyPatch()
    patch.setattr(battery, "boosted_scores", partial(classifiers.boosted_scores, rounds=15))
    patch.setattr(battery, "convolutional_scores", partial(classifiers.convolutional_scores, steps=5))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished smoke run on a netCDF file of one-dimensional, positive fields, and the file."""
    folder = tmp_path_factory.mktemp("own")
    rng, x = np.random.default_rng(0), np.arange(32)
    phase = rng.uniform(0, 2 * np.pi, (400, 1))
    values = np.exp(np.sin(2 * np.pi * x / 32 + phase) + 0.3 * rng.standard_normal((400, 32)))
    made = xarray.Dataset(
        {"rain": (("time", "x"), values.astype(np.float32), {"units": "mm"})},
        {"time": np.arange(400), "x": ("x", 2.0 * x, {"units": "km"})},
    )
    made.to_netcdf(folder / "rain.nc", engine="scipy")
    command = ["train-on", str(folder / "rain.nc"), "--transform", "log", "--periodic", "x", "--homogeneous", "x"]
    with jax.enable_x64(False):
        assert cli.main([*command, "--preset", "smoke", "--runs-dir", str(folder / "runs")]) == 0
    (run,) = (folder / "runs" / "own_data").iterdir()
    return run, folder / "rain.nc"


def test_a_run_on_a_file_says_what_the_samples_are_worth_beside_held_out_fields(finished):
    comparison = experiments.load_run(finished[0]).comparison
    assert comparison.get(Refinement) is None
    assert comparison.need(Tests).reference == "held-out fields"
    worth = comparison.need(Worth)
    assert 200 < worth.trained_on <= 280 and worth.fields in comparison.verdict
    # In the units of the file, though the logarithm was learnt.
    plan = comparison.need(Planning).plans["mean of rain"]
    assert plan.unit == "mm" and plan.real >= plan.generated > 0
    rows = comparison.need(Baselines).rows
    assert set(rows) == {"gaussian", "bank"}
    # Training fields are of the distribution.
    assert rows["bank"].values["median_ratio"] < 1.7 < comparison.need(Baselines).generator.values["median_ratio"]
    page = (finished[0] / "report.html").read_text()
    assert "rain.nc" in page and "Worth" in page and "<h2>Refinement" not in page


def test_samples_come_in_the_units_and_on_the_axes_of_the_file(finished, tmp_path):
    assert cli.main(["sample", str(finished[0]), "--count", "3", "--out", str(tmp_path / "s.nc")]) == 0
    with xarray.open_dataset(tmp_path / "s.nc", engine="scipy") as made:
        assert made.rain.dims == ("sample", "x") and made.rain.attrs["units"] == "mm"
        np.testing.assert_array_equal(made.x, 2.0 * np.arange(32))
        assert (made.rain > 0).all()
    with pytest.raises(UserError, match="no solver"):
        experiments.load_run(finished[0]).sample(2, refine=1.0)


def test_a_file_that_has_changed_is_refused(finished, capsys):
    run, file = finished
    before = file.read_bytes()
    try:
        file.write_bytes(before[:-4] + b"\x3f\x80\x00\x00")
        assert cli.main(["compare", str(run)]) == 2
        assert "has changed" in capsys.readouterr().err
        assert cli.main(["sample", str(run), "--count", "1", "--out", str(run / "s.npz")]) == 2
        file.unlink()
        assert cli.main(["compare", str(run)]) == 2
        assert "does not exist" in capsys.readouterr().err
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--patch", "x"], "whole number"),
        (["--variable", "snow"], "--variable snow"),
        (["--periodic", "y"], "--system.periodic y"),
        (["--homogeneous", "x"], "--system.homogeneous x"),
        (["--solver_layer.tau", "1"], "has no effect"),
        (["--patch", "7"], "--patch"),
        (["--training.batch", "5000"], "--training.batch 5000"),
        (["--prest", "demo"], "--prest"),
    ],
)
def test_what_cannot_work_is_refused_before_there_is_a_folder(finished, tmp_path, capsys, words, expected):
    assert cli.main(["train-on", str(finished[1]), "--runs-dir", str(tmp_path / "runs"), *words]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_networks_are_chosen_by_the_fields(tmp_path):
    from experiments import catalog
    from experiments.cli.train_on import fitting

    experiment = catalog.load("own_data")
    demo = experiment.presets["demo"]

    def chosen(values, axes, **given):
        np.save(tmp_path / "a.npy", values)
        changes = {"system.file": str(tmp_path / "a.npy"), "system.axes": axes, **given}
        return fitting(experiment, demo.with_overrides(changes), given)

    rng = np.random.default_rng(0)
    assert chosen(rng.standard_normal((300, 12)), "time,x") == {"network.levels": "3"}
    assert chosen(rng.standard_normal((301, 3)), "sample,channel")["network.kind"] == "mlp"
    assert chosen(rng.standard_normal((302, 12)), "time,x", **{"network.levels": "2"}) == {}
    with pytest.raises(UserError, match="--patch 8"):
        chosen(rng.standard_normal((303, 15)), "time,x")


EQUATION = """
import physics


def system(points, extent):
    return physics.Burgers(physics.Grid(points, extent), viscosity=0.5)
"""


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """Fields in a file, and their equation in another."""
    folder = tmp_path_factory.mktemp("flow")
    rng, x = np.random.default_rng(0), np.arange(16) * 2 * np.pi / 16
    waves = rng.normal(size=(400, 2, 1)) * np.sin(np.arange(1, 3)[:, None] * x + rng.uniform(0, 6.28, (400, 2, 1)))
    np.save(folder / "u.npy", waves.sum(axis=1).astype(np.float32))
    (folder / "burgers.py").write_text(EQUATION)
    return folder


def trained_on_flow(folder, *more):
    words = ["train-on", str(folder / "u.npy"), "--axes", "sample,x", "--periodic", "x", "--homogeneous", "x"]
    small = ["--preset", "smoke", "--training.steps", "10", "--runs-dir", str(folder / "runs")]
    return cli.main([*words, *small, *more])


@pytest.mark.slow
def test_an_equation_of_ones_own_is_the_solver_layer_and_refines(flow, quick):
    layer = ["--solver_layer.tau", "0.1", "--solver_layer.steps", "2"]
    assert trained_on_flow(flow, "--physics", str(flow / "burgers.py"), *layer) == 0
    (folder,) = (flow / "runs" / "own_data").iterdir()
    run = experiments.load_run(folder)
    assert run.comparison.get(Refinement) is None and run.comparison.need(Tests).reference == "held-out fields"
    key = jax.random.key(0)
    drawn, later = run.sample(3, key=key).values, run.sample(3, key=key, refine=0.5).values
    system = physics.Burgers(physics.Grid((16,), (16.0,)), viscosity=0.5)
    direct = [physics.solve(system, one, np.array([0.5]), dt=0.05)[0] for one in drawn]
    np.testing.assert_allclose(later, np.stack(direct), atol=1e-4)
    (flow / "burgers.py").write_text(EQUATION.replace("0.5", "0.4"))
    try:
        assert cli.main(["compare", str(folder)]) == 2
    finally:
        (flow / "burgers.py").write_text(EQUATION)


RESIDUAL = """
import jax.numpy as jnp


def residual(field, extent):
    return jnp.mean(field)
"""


def test_a_residual_of_ones_own_is_a_penalty_and_a_score(flow, tmp_path, quick):
    (tmp_path / "mean.py").write_text(RESIDUAL)
    known = ["--physics", str(tmp_path / "mean.py")]
    found = {}
    for weight in ("0", "1000"):
        folder = tmp_path / weight
        assert trained_on_flow(flow, *known, "--system.residual", weight, "--runs-dir", str(folder)) == 0
        (run,) = (folder / "own_data").iterdir()
        found[weight] = experiments.load_run(run).comparison.need(Scores).entries["residual"]
    # The fields of the file have a mean of zero; ten updates of an untrained generator hardly do.
    free, held = found["0"], found["1000"]
    assert free.target == pytest.approx(0, abs=1e-6) and free.null[1] < 1e-6
    assert held.value < 0.7 * free.value


@pytest.mark.parametrize(
    ("content", "more", "expected"),
    [
        (EQUATION, ["--system.residual", "1"], "defines no residual(field, extent)"),
        (RESIDUAL, ["--solver_layer.tau", "0.1"], "defines no system(points, extent) that could be solved"),
        (
            RESIDUAL.replace("jnp.mean(field)", "jnp.log(-jnp.abs(field))"),
            [],
            "is not finite at the first training field",
        ),
        (RESIDUAL.replace("jnp.mean(field)", "float(field[0, 0])"), [], "fails with ConcretizationTypeError"),
        (
            EQUATION,
            ["--patch", "8", "--periodic", "none", "--homogeneous", "none"],
            "a patch is no field of the equation",
        ),
        (
            EQUATION.replace("def system", "def other"),
            [],
            "defines neither system(points, extent) nor residual(field, extent)",
        ),
        ("def system(points, extent):\n    return 3\n", [], "returns no physics.System, but int"),
        (
            EQUATION.replace("Grid(points", "Grid((8,)").replace("extent),", "(1.0,)),"),
            [],
            "its fields have the shape (8, 1), and those of the file (16, 1)",
        ),
        ("def system(points, extent):\n    return 1 / 0\n", [], "fails with ZeroDivisionError: division by zero"),
        ("def system(points, extent:\n", [], "line 1"),
        (None, [], "No such file"),
        (EQUATION, ["--periodic", "none", "--homogeneous", "none"], "the equation is periodic along x too"),
    ],
)
def test_an_equation_that_does_not_fit_is_refused_in_one_sentence(flow, tmp_path, capsys, content, more, expected):
    path = tmp_path / "equation.py"
    if content is not None:
        path.write_text(content)
    assert trained_on_flow(flow, "--physics", str(path), *more) == 2
    said = capsys.readouterr().err.strip()
    assert expected in " ".join(said.split()) and "Traceback" not in said
