"""Exported files: every format gives back the same numbers with the same names, and never half a file."""

import json

import h5py
import numpy as np
import pytest
import tensorstore
from scipy.io import netcdf_file

from experiments import export
from experiments.errors import UserError
from experiments.export import Fields


@pytest.fixture
def fields():
    rng = np.random.default_rng(0)
    return Fields(
        values=rng.normal(size=(5, 3, 8, 2)).astype(np.float32),
        dims=("sample", "time", "x", "channel"),
        coordinates={
            "time": np.linspace(0, 1, 3),
            "x": np.linspace(0, 2, 8, endpoint=False),
            "viscosity": np.linspace(0.1, 0.5, 5),
        },
        channels=("u", "v"),
        units={"u": "m/s", "x": "m"},
        attrs={"experiment": "toy", "refine": 2.1, "advanced": True, "seed": 2**40},
    )


def test_npz_holds_channels_coordinates_and_attributes(fields, tmp_path):
    with np.load(export.write(fields, tmp_path / "f.npz")) as file:
        np.testing.assert_array_equal(file["v"], fields.values[..., 1])
        np.testing.assert_array_equal(file["viscosity"], fields.coordinates["viscosity"])
        attributes = json.loads(str(file["attributes"]))
    assert attributes["refine"] == 2.1
    assert attributes["dims"] == ["sample", "time", "x"]
    assert attributes["units"]["u"] == "m/s"


def test_netcdf_has_named_dimensions_units_and_attributes(fields, tmp_path):
    with netcdf_file(export.write(fields, tmp_path / "f.nc"), mmap=False) as file:
        assert file.variables["u"].dimensions == ("sample", "time", "x")
        assert file.variables["viscosity"].dimensions == ("sample",)
        assert file.variables["u"].units == b"m/s"
        assert file.refine == 2.1
        assert file.seed == b"1099511627776"
        np.testing.assert_array_equal(file.variables["v"][:], fields.values[..., 1])


def test_netcdf_refuses_what_the_format_cannot_hold(tmp_path):
    # A view of one number: the size is that of 3 GiB, the memory is not.
    huge = np.broadcast_to(np.float32(0), (3, 2**28, 1))
    fields = Fields(huge, ("sample", "x", "channel"), {}, ("u",))
    with pytest.raises(UserError, match=r"2 GiB per channel and u has 3\.0 GiB; choose \.zarr or \.h5"):
        export.write(fields, tmp_path / "f.nc")
    assert list(tmp_path.iterdir()) == []


def test_hdf5_has_dimension_scales(fields, tmp_path):
    with h5py.File(export.write(fields, tmp_path / "f.h5")) as file:
        assert [dimension.label for dimension in file["u"].dims] == ["sample", "time", "x"]
        np.testing.assert_array_equal(file["u"].dims[2][0][:], fields.coordinates["x"])
        assert file["u"].attrs["units"] == "m/s"
        assert file.attrs["experiment"] == "toy"
        np.testing.assert_array_equal(file["u"][:], fields.values[..., 0])


def test_zarr_has_dimension_names_and_consolidated_metadata(fields, tmp_path):
    path = export.write(fields, tmp_path / "f.zarr")
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(path / "v")}}
    np.testing.assert_array_equal(tensorstore.open(spec).result().read().result(), fields.values[..., 1])
    metadata = json.loads((path / ".zmetadata").read_text())["metadata"]
    assert metadata["u/.zattrs"]["_ARRAY_DIMENSIONS"] == ["sample", "time", "x"]
    assert metadata["u/.zattrs"]["coordinates"] == "viscosity"
    assert metadata[".zattrs"]["refine"] == 2.1
    assert metadata["x/.zarray"]["shape"] == [8]


def test_xarray_reads_netcdf_as_the_fields_themselves(fields, tmp_path):
    xarray = pytest.importorskip("xarray")
    with xarray.open_dataset(export.write(fields, tmp_path / "f.nc"), engine="scipy") as read:
        xarray.testing.assert_equal(read.load(), fields.to_xarray())
        assert read["u"].attrs["units"] == "m/s"


@pytest.mark.parametrize("suffix", [".npz", ".nc", ".h5", ".zarr"])
def test_writing_again_replaces_the_file(fields, tmp_path, suffix):
    path = tmp_path / f"f{suffix}"
    export.write(fields, path)
    export.write(fields, path)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".npz", ".nc", ".h5", ".zarr"])
def test_a_full_disk_leaves_the_old_file_and_no_part_of_the_new(fields, tmp_path, suffix, monkeypatch):
    path = export.write(fields, tmp_path / f"f{suffix}")
    before = sorted(one.stat().st_size for one in [path, *path.rglob("*")] if one.is_file())

    def full(*arguments):
        arguments[-1].parent.joinpath("part").write_bytes(b"x")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(export._WRITERS, suffix, full)
    with pytest.raises(OSError, match="No space left"):
        export.write(fields, path)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert sorted(one.stat().st_size for one in [path, *path.rglob("*")] if one.is_file()) == before


def test_an_unknown_suffix_is_reported_with_the_known_ones(tmp_path):
    with pytest.raises(UserError, match=r"\.npz, \.nc, \.h5, \.zarr, found '\.zar'; did you mean \.zarr\?"):
        export.writer_for(tmp_path / "f.zar")


def test_a_folder_that_is_no_zarr_store_is_not_replaced(fields, tmp_path):
    precious = tmp_path / "data.zarr"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years")
    with pytest.raises(UserError, match="no zarr store"):
        export.write(fields, precious)
    assert (precious / "thesis.tex").read_text() == "years"


def test_fields_refuse_names_that_do_not_fit_their_shape():
    values = np.zeros((2, 4, 1))
    with pytest.raises(ValueError, match="coordinate x must have shape"):
        Fields(values, ("sample", "x", "channel"), {"x": np.arange(3)}, ("u",))
    with pytest.raises(ValueError, match="must name all 3 axes"):
        Fields(values, ("sample", "channel"), {}, ("u",))
    with pytest.raises(ValueError, match="as many as the last axis"):
        Fields(values, ("sample", "x", "channel"), {}, ("u", "v"))
