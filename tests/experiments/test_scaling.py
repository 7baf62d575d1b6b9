"""Scaling studies: operations counted, the model fitted, goodput, and the studies that a command makes."""

import csv
import io
import json
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import catalog, cli
from experiments.errors import UserError
from experiments.scaling import page, processes, records
from experiments.scaling.energy import Meter
from experiments.scaling.fit import fit, fitted, left_out
from experiments.scaling.goodput import goodput
from experiments.scaling.operations import Operations, operations
from experiments.scaling.records import Phase, Point, Study
from experiments.scaling.work import Passes, counts, passes, work
from experiments.tasks.advance import solver_layer
from gan.config import GameConfig, NetworkConfig, OptimizerConfig, Recipe, SolverLayerConfig, TrainingConfig
from gan.training.loop import Trainer
from gan.training.problem import Problem


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (jnp.dot, [(8, 16), (16, 4)], Operations(matrix=1.0 * 2 * 8 * 16 * 4)),
        (lambda x, w: jnp.einsum("bij,bjk->bik", x, w), [(3, 8, 16), (3, 16, 4)], Operations(matrix=1.0 * 3 * 1024)),
        (jnp.fft.rfft, [(3, 64)], Operations(transforms=3 * 2.5 * 64 * 6)),
        (lambda x: jnp.fft.irfft(jnp.fft.rfft(x)), [(3, 64)], Operations(transforms=2 * 3 * 2.5 * 64 * 6)),
        (lambda x: jnp.fft.rfft2(x), [(16, 32)], Operations(transforms=2.5 * 512 * 9)),
        (lambda x, y: jnp.sum(x * y), [(5, 7), (5, 7)], Operations(pointwise=70.0)),
        (lambda x: jax.lax.fori_loop(0, 10, lambda i, y: y @ y, x), [(4, 4)], Operations(matrix=1.0 * 10 * 128)),
    ],
)
def test_operations_are_those_of_the_formula(function, shapes, expected):
    found = operations(function, *(jnp.zeros(shape) for shape in shapes))
    assert (found.matrix, found.transforms) == pytest.approx((expected.matrix, expected.transforms))
    if expected.pointwise:
        assert found.pointwise == expected.pointwise


def test_a_convolution_counts_every_product_of_its_kernel():
    x, kernel = jnp.zeros((2, 10, 3)), jnp.zeros((5, 3, 4))

    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (1,), "SAME", dimension_numbers=("NXC", "XIO", "NXC"))

    assert operations(convolve, x, kernel).matrix == 2 * 2 * 10 * 4 * 5 * 3


def test_the_dearest_branch_counts():
    def either(x):
        return jax.lax.cond(x[0, 0] > 0, lambda x: x @ x, lambda x: x, x)

    assert operations(either, jnp.zeros((4, 4))).matrix == 128


def trainer(
    objective="relativistic", scheme="alternating", penalty=0.1, critic_steps=1, layer=None, points=16, tau=0.0
):
    """A training of dense networks, whose products can be counted by hand."""
    rng = np.random.default_rng(0)
    recipe = Recipe(
        NetworkConfig(kind="mlp", width=32, blocks=2, latent=8),
        GameConfig(objective=objective, r1=penalty, r2=penalty, gamma_rule="fixed", critic_steps=critic_steps),
        OptimizerConfig(scheme=scheme),
        SolverLayerConfig(tau=tau),
        TrainingConfig(steps=10, batch=4, log_every=1, checkpoint_every=1, parallel="jit"),
    )
    fields = rng.standard_normal((64, points, 1)).astype(np.float32)
    return Trainer(Problem(train=fields, solver_layer=layer), recipe, "unused")


def one_pass(made):
    return passes(made.networks, made.state.players, made.problem, made.recipe)


def test_a_pass_of_dense_networks_is_the_sum_over_their_layers():
    found = one_pass(trainer())
    assert found.generator == 2 * (8 * 32 + 32 * 32 + 32 * 16)
    assert found.discriminator == 2 * (16 * 32 + 32 * 32 + 32)
    assert found.solver == 0


@pytest.mark.parametrize("penalty", [0.0, 0.1])
@pytest.mark.parametrize("objective", ["relativistic", "non_saturating"])
@pytest.mark.parametrize(("scheme", "critic_steps"), [("alternating", 1), ("alternating", 2), ("extragradient", 1)])
def test_the_work_of_an_update_is_that_of_the_traced_step(penalty, objective, scheme, critic_steps):
    """The step as it is traced has the products that the formula counts, up to those at the ends of the networks."""
    made = trainer(objective, scheme, penalty, critic_steps)
    fields, condition = made.next_batch((0, 0))
    traced = operations(made.per_device, made.state, fields[0], jax.tree.map(lambda x: x[0], condition)).matrix
    # The normalisation is arithmetic at single numbers, and no product.
    counted = 4 * work(one_pass(made)._replace(normalization=0.0), made.recipe).total
    assert 0.9 < traced / counted < 1.02


def test_the_solver_counts_with_its_reverse_pass_and_in_further_draws():
    one, recipe = Passes(0.0, 0.0, 0.0, 100.0), trainer(critic_steps=3).recipe
    assert counts(recipe) == (1, 3, 3)
    assert work(one, recipe).solver == 100 * (2 + 3)


def test_the_solver_layer_is_counted_by_its_steps():
    """A step of the exponential integrator takes ten transforms of the Kuramoto-Sivashinsky equation."""
    config = catalog.load("kuramoto_sivashinsky").presets["smoke"]
    system = catalog.load("kuramoto_sivashinsky").learnt().system(config)
    each = 2.5 * 32 * 5
    layers = [solver_layer(system, steps) for steps in (5, 10)]
    transforms = [operations(lambda x, f=f: f(x, {}, jnp.float32(1.0))[0], jnp.zeros((1, 32, 1))) for f in layers]
    assert [one.transforms for one in transforms] == pytest.approx([52 * each, 102 * each])
    made = trainer(layer=solver_layer(system, 5), points=32, tau=1.0)
    assert one_pass(made).solver == transforms[0].total > 52 * each
    assert one_pass(trainer(layer=solver_layer(system, 5), points=32)).solver == 0


# A machine of which everything is known: 1 ms a sample, 5 ms an update, 20 µs a message, 1 GB/s.
SAMPLE, FIXED, MESSAGE, BYTE, REDUCED = 1e-3, 5e-3, 2e-5, 1e-9, 4_000_000


def point(devices, batch, *, cores=None, alone=1.0, processes=1, reduced=REDUCED, slower=1.0):
    """A point of that machine, one device of which uses ``alone`` cores."""
    processors = devices if cores is None else min(devices, cores)
    line = devices / processors
    messages = 0 if devices == 1 else 2 * math.ceil(math.log2(devices))
    latency = MESSAGE * messages
    reduction = latency + BYTE * 2 * (devices - 1) / devices * reduced * line
    at_work = float(devices if cores is None else min(alone * devices, cores))
    seconds = slower * (SAMPLE * batch / at_work + FIXED * line + reduction)
    phases = {
        "data": Phase(1e-4),
        "generator": Phase(0.5 * seconds, 2e6 * batch, 1e6 * batch),
        "discriminator": Phase(0.3 * seconds, 3e6 * batch, 2e6 * batch),
        "other": Phase(-1e-4),
        "host": Phase(2e-4),
        "checkpoint": Phase(1e-3),
    }
    if devices > 1:
        phases["all-reduce"] = Phase(reduction)
    return Point(
        devices=devices,
        processes=processes,
        batch=batch,
        processors=processors,
        seconds=seconds,
        spread=(0.9 * seconds, 1.2 * seconds),
        step_seconds=0.95 * seconds,
        phases=phases,
        reduction_seconds=latency,
        reduced_bytes=reduced,
        matrix_rate=1e9,
        memory_rate=1e9,
        start_seconds=10.0,
        compile_seconds=20.0,
        save_seconds=0.5,
        validation_seconds=0.25,
        program_bytes=10**7,
        device_bytes=None,
        process_bytes=10**9,
        busy=None if cores is None else at_work,
    )


def study(counts=(1, 2, 4), *, cores=None, alone=1.0, slower_last=1.0):
    """A study of that machine, with a batch of 64."""
    slower = {counts[-1]: slower_last}
    points = [
        point(d, b, cores=cores, alone=alone, slower=slower.get(d, 1.0))
        for d in counts
        for b in dict.fromkeys((64, 64 * d))
    ]
    return Study(
        "toy", "demo", {}, 64, 1000, 100, "cpu", cores is not None, cores or 1, 0.5, {"jax": "0"},
        tuple(sorted(points, key=lambda one: (one.devices, one.batch))),
    )  # fmt: skip


@pytest.mark.parametrize(("cores", "alone"), [(None, 1.0), (2, 1.0), (2, 1.5), (8, 3.0)])
def test_the_fit_finds_the_machine_and_predicts_what_it_has_not_seen(cores, alone):
    found = study((1, 2, 4), cores=cores, alone=alone)
    model = fitted(found)
    assert model.sample_seconds == pytest.approx(SAMPLE) and model.fixed_seconds == pytest.approx(FIXED)
    assert model.message_seconds == pytest.approx(MESSAGE) and model.byte_seconds == pytest.approx(BYTE)
    beyond = point(64, 64 * 64, cores=cores, alone=alone)
    assert model.seconds(64, 64 * 64) == pytest.approx(beyond.seconds)
    assert [one.devices for one in left_out(found)] == [4, 4]
    assert [one.error for one in left_out(found)] == pytest.approx([0.0, 0.0])


def test_a_count_that_does_not_follow_the_model_shows_in_the_error():
    errors = [one.error for one in left_out(study(slower_last=1.25))]
    assert errors == pytest.approx([1 / 1.25 - 1] * 2)


def test_too_few_points_make_no_model_and_no_communication_no_prediction():
    assert fit([point(1, 64)], None) is None
    assert [one.error for one in left_out(study((1, 2)))] == [None, None]
    alone = fit([point(1, 64), point(1, 128)], None)
    assert alone.seconds(1, 256) == pytest.approx(256 * SAMPLE + FIXED) and alone.seconds(2, 64) is None


def test_goodput_counts_every_second_once_and_failures_grow_with_devices():
    one = point(4, 256)
    found = goodput(one, 1000, 100, hours=1e9)
    assert found.steps == pytest.approx(1000 * one.step_seconds)
    assert found.saving == pytest.approx(10 * 0.75)
    assert found.seconds == pytest.approx(1000 * one.seconds + 10 * 0.75 + 30.0, rel=1e-4)
    assert found.share == pytest.approx(found.steps / found.seconds)
    # By hand: as many failures as device hours over their mean time between, each half a period and a start.
    some = goodput(one, 1000, 100, hours=0.1)
    whole = some.seconds - some.lost
    assert some.lost == pytest.approx(whole * 4 / 360.0 * (50 * one.seconds + 30.0))
    assert goodput(one, 1000, 100).share > some.share


def test_a_study_is_read_back_as_it_was_written(tmp_path):
    found = replace(study(), failures={"8-devices-1-processes-batch-512": "only 4 are visible"})
    records.write(found, tmp_path / "scaling.json", {"model": None})
    assert records.read(tmp_path / "scaling.json") == found


@pytest.mark.parametrize("content", ["", "[]", '{"format": 0}', '{"format": 1, "points": 3}'])
def test_a_file_that_is_no_study_is_refused(tmp_path, content):
    (tmp_path / "scaling.json").write_text(content)
    with pytest.raises(UserError, match=r"scaling\.json"):
        records.read(tmp_path / "scaling.json")
    with pytest.raises(UserError, match="does not exist"):
        records.read(tmp_path / "none.json")


def test_points_of_two_commands_are_merged_and_the_later_one_counts():
    old, new = study((1, 2)), study((2, 4), slower_last=1.0)
    changed = replace(new, points=tuple(replace(one, start_seconds=11.0) for one in new.points))
    old = replace(old, failures={changed.points[-1].label: "killed", "x": "other"})
    found = records.merged(old, changed)
    assert [(one.devices, one.batch) for one in found.points] == [(1, 64), (2, 64), (2, 128), (4, 64), (4, 256)]
    assert [one.start_seconds for one in found.points] == [10.0, 11.0, 11.0, 11.0, 11.0]
    # What could be measured this time has not failed.
    assert found.failures == {"x": "other"}


def test_the_page_and_the_table_hold_every_point():
    found = study(cores=2)
    rows = list(csv.DictReader(io.StringIO(page.csv_of(found, 5e4))))
    assert [row["scaling"] for row in rows] == ["both", "strong", "weak", "strong", "weak"]
    for row, one in zip(rows, found.points):
        assert float(row["samples_per_second"]) == pytest.approx(one.batch / one.seconds)
        assert float(row["utilisation"]) == pytest.approx(5e6 * one.batch / one.seconds / (1e9 * one.devices))
        assert float(row["all-reduce_seconds"] or 0) == one.reduce_seconds
    shown = page.page_of(found, "python -m experiments scale toy", 5e4)
    assert "shares of one CPU" in shown and "python -m experiments scale toy" in shown
    assert shown.count("<img") == 4 and "error of +0%" in page.verdict(found)
    single = page.page_of(study((1,)), "python", 5e4)
    assert "do not suffice" in single and single.count("<img") == 3


def test_counts_of_weak_and_strong_scaling():
    found = processes.counts_of([1, 2, 4], [1, 2], 8)
    assert [(one.devices, one.processes, one.batch) for one in found] == [
        (1, 1, 8), (2, 1, 16), (2, 1, 8), (4, 1, 32), (4, 1, 8), (4, 2, 32), (4, 2, 8)
    ]  # fmt: skip


def test_a_process_sees_its_own_share_of_the_devices():
    before = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4 --xla_other=1", "JAX_NUM_CPU_DEVICES": "3"}
    found = processes.environment_of(processes.Count(8, 2, 16), before)
    assert found["XLA_FLAGS"].split() == ["--xla_other=1", "--xla_force_host_platform_device_count=4"]
    assert "JAX_NUM_CPU_DEVICES" not in found


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--devices", "1,0"], "--devices must be at least 1, found 0."),
        (["--devices", "1,1"], "--devices 1,1 names a count twice; give each once."),
        (["--devices", "1,3"], "--devices 3 does not divide --training.batch 16"),
        (["--devices", "1,two"], "--devices"),
        (["--devices", "1,2", "--hosts", "3"], "--hosts 3 does not divide --devices 2"),
        (["--failure-hours", "0"], "--failure-hours must be above 0"),
        (["--training.devices", "2"], "--training.devices 2 is what a scaling study varies"),
        (["--training.batchs", "2"], "--training.batchs is not an option of scale"),
        (["--preset", "tiny"], "--preset 'tiny' is unknown"),
    ],
)
def test_a_study_that_cannot_work_is_refused_before_anything_starts(tmp_path, capsys, words, expected):
    preset = [] if "--preset" in words else ["--preset", "smoke"]
    assert cli.main(["scale", "gaussians", *preset, "--runs-dir", str(tmp_path), *words]) == 2
    assert expected in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_study_without_a_training_has_no_scaling(tmp_path, capsys):
    assert cli.main(["scale", "dirac", "--preset", "smoke", "--runs-dir", str(tmp_path)]) == 2
    assert "without a training" in capsys.readouterr().err


def test_a_processor_with_counters_reports_its_energy(tmp_path):
    package, part = tmp_path / "intel-rapl:0", tmp_path / "intel-rapl:0:0"
    for one in (package, part):
        one.mkdir()
        (one / "energy_uj").write_text("9000000\n")
        (one / "max_energy_range_uj").write_text("10000000\n")
    with Meter("cpu", tmp_path) as meter:
        # The counter starts again from zero: 1 J to its end, and 2 J from there.
        (package / "energy_uj").write_text("2000000\n")
    assert meter.joules == pytest.approx(3.0) and "RAPL" in meter.source
    with Meter("cpu", tmp_path / "none") as meter:
        pass
    assert meter.joules is None


@pytest.mark.slow
def test_a_study_measures_every_count_and_a_second_command_adds_to_it(tmp_path, capsys):
    words = ["scale", "gaussians", "--preset", "smoke", "--runs-dir", str(tmp_path)]
    assert cli.main([*words, "--devices", "1,2"]) == 0
    (folder,) = (tmp_path / "gaussians").glob("scale-smoke-*")
    found = records.read(folder / "scaling.json")
    assert [(one.devices, one.batch) for one in found.points] == [(1, 16), (2, 16), (2, 32)]
    for one in found.points:
        assert one.spread[0] <= one.seconds <= one.spread[1]
        assert one.compile_seconds > 0.1 and one.matrix_rate > 1e9 and one.memory_rate > 1e8
        assert {"data", "generator", "discriminator", "host", "checkpoint"} <= one.phases.keys()
        assert ("all-reduce" in one.phases) == (one.devices > 1)
        assert one.operations / one.batch == found.points[0].operations / 16
    assert cli.main([*words, "--devices", "4", "--trace"]) == 0
    again = records.read(folder / "scaling.json")
    assert again.points[:3] == found.points and again.points[-1].devices == 4
    assert list(folder.glob("trace-4-*/**/*.xplane.pb"))
    derived = json.loads((folder / "scaling.json").read_text())["derived"]
    assert [one["devices"] for one in derived["left_out"]] == [4, 4]
    assert not list(folder.glob("*.job")) and not list(folder.glob("*.found.json"))
    capsys.readouterr()
    assert cli.main([*words, "--devices", "1024", "--training.batch", "1024", "--data.samples", "1024,256,512"]) == 2
    assert "nothing could be measured" in capsys.readouterr().err
