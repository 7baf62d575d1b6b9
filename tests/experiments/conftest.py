"""A run folder with all that a report shows, made of numbers instead of a training, and a toy experiment."""

import dataclasses
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from experiments import catalog, files, runs
from experiments.config import CompareConfig, DataConfig, ExperimentConfig, SystemConfig
from experiments.options import setting, to_mapping
from gan.config import TrainingConfig


@dataclasses.dataclass(frozen=True)
class ToySystem(SystemConfig):
    """Values of the toy system."""

    viscosity: tuple[float, float] = setting((0.01, 0.1), "range of the viscosity", "length^2/time", above=0)


TOY = ExperimentConfig(
    data=DataConfig(points=(32,), extent=(22.0,)),
    system=ToySystem(),
    training=TrainingConfig(steps=100, batch=8, log_every=10, checkpoint_every=50),
    compare=CompareConfig(fields=64),
)


@pytest.fixture
def toy(monkeypatch):
    """Register the experiment ``toy``, with the presets smoke and demo, for one test."""
    smoke = dataclasses.replace(TOY, training=dataclasses.replace(TOY.training, steps=10, checkpoint_every=10))
    experiment = SimpleNamespace(name="toy", task=SimpleNamespace(trains=True), presets={"smoke": smoke, "demo": TOY})
    summary = catalog.Summary("a toy, 1D, periodic", "snapshot", "numbers instead of a training", "nothing")
    monkeypatch.setitem(catalog._SUMMARIES, "toy", summary)
    monkeypatch.setitem(sys.modules, "experiments.catalog.toy", SimpleNamespace(EXPERIMENT=experiment))
    return experiment


def write_config(path, **changes):
    """Write ``config.yaml`` as ``runs.create`` does, without asking jax for its devices."""
    path.mkdir(parents=True, exist_ok=True)
    record = {
        "format": runs.FORMAT_VERSION,
        "experiment": "toy",
        "preset": "demo",
        "created": "2026-01-01T12:00:00+00:00",
        "command": "python -m experiments run toy",
        "versions": {"python": "3.11.7", "jax": "0.10.2"},
        "devices": {"platform": "cpu", "kind": "cpu", "count": 2},
        "git": None,
        "config": to_mapping(TOY),
        **changes,
    }
    (path / "config.yaml").write_text(yaml.safe_dump(record, sort_keys=False))
    return path


@pytest.fixture
def run_path(tmp_path, toy):
    """A run folder with its configuration only."""
    return write_config(tmp_path / "runs" / "toy" / "20260101-120000")


@pytest.fixture
def finished_run(run_path):
    """A run folder as a finished run leaves it."""
    fill(run_path)
    return run_path


@pytest.fixture(scope="session")
def record(tmp_path_factory):
    """The lines that a training with every term, helper and diagnosis really writes: two updates of tiny players."""
    import jax
    import jax.numpy as jnp

    from gan import Problem, train
    from gan.config import CarryConfig, GameConfig, NetworkConfig, OptimizerConfig, Recipe
    from gan.penalties import Penalty

    rng = np.random.default_rng(0)
    fields, force = rng.standard_normal((40, 8, 1)), rng.uniform(1, 2, (40, 1))
    recipe = Recipe(
        NetworkConfig(kind="mlp", width=4, blocks=1, latent=0),
        GameConfig(
            objective="relativistic_minimax",
            gradient_penalty=1.0,
            augment_target=0.5,
            transport=0.5,
            ensemble_weight=0.1,
        ),
        OptimizerConfig(play="competitive", inner_iterations=1),
        CarryConfig(tau=1.0),
        TrainingConfig(steps=2, batch=4, devices=1, log_every=1, checkpoint_every=1, diagnose_every=1),
    )
    problem = Problem(
        train=fields[:30].astype(np.float32),
        validation=fields[30:].astype(np.float32),
        condition={"force": force[:30].astype(np.float32)},
        validation_condition={"force": force[30:].astype(np.float32)},
        carry=lambda samples, condition, tau: (samples * jnp.exp(-0.1 * tau), jnp.ones(samples.shape[0], bool)),
        penalties={"power": Penalty(lambda samples, condition: jnp.mean(samples**2), 0.01)},
        measure=lambda samples: {"modes_found": 3.0},
    )
    folder = tmp_path_factory.mktemp("record")
    with jax.enable_x64(False):
        train(problem, recipe, folder)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def forecast_arrays():
    """Arrays of a forecast, as the comparison writes them."""
    return forecast_figures(np.random.default_rng(1), np.linspace(0, 22, 64, endpoint=False))


def wave(rng, times, x, modes=6, amplitude=1.3):
    """Smooth travelling waves in place of chaos, shape (time, x, 1)."""
    field = np.zeros((len(times), len(x)))
    for mode in range(1, modes + 1):
        phase, speed, size = (
            rng.uniform(0, 2 * np.pi),
            rng.normal(0, 0.25),
            rng.normal(0, 1 / (1 + (mode - 3) ** 2)),
        )
        field += size * np.cos(2 * np.pi * mode * x / 22.0 + phase + speed * mode * times[:, None])
    return (amplitude * field / field.std())[..., None].astype(np.float32)


def fill(path, forecast=False):
    """Write metrics, comparison and figures of a plausible run into ``path``."""
    rng = np.random.default_rng(0)
    x, times = np.linspace(0, 22, 64, endpoint=False), np.linspace(0, 100, 200)
    k = np.arange(1, 32) * 2 * np.pi / 22
    energy = np.exp(-((k - 0.8) ** 2) / 0.3) + 30 * np.exp(-4.5 * k)
    low, high = energy * 0.93, energy * 1.07
    figures = {
        "coordinates/0": x,
        "samples/solver": np.stack([wave(rng, np.zeros(1), x)[0] for _ in range(8)]),
        "samples/generator": np.stack([wave(rng, np.zeros(1), x)[0] for _ in range(8)]),
        "evolution/times": times,
        "evolution/solver": wave(rng, times, x),
        "evolution/generator": wave(rng, times, x),
        "spectrum/wavenumber": k,
        "spectrum/solver": energy,
        "spectrum/generator": energy * np.exp(0.06 * rng.normal(size=k.size) * k),
        "spectrum/low": low,
        "spectrum/high": high,
        "spectrum/resolved": np.array([0.25, 5.0]),
        "correlation/distance": x[:32],
        "correlation/solver": np.cos(0.8 * x[:32]) * np.exp(-x[:32] / 6),
        "correlation/generator": np.cos(0.81 * x[:32]) * np.exp(-x[:32] / 6.1),
        "correlation/low": np.cos(0.8 * x[:32]) * np.exp(-x[:32] / 6) - 0.02,
        "correlation/high": np.cos(0.8 * x[:32]) * np.exp(-x[:32] / 6) + 0.02,
    }
    centers = np.linspace(-4, 4, 60)
    for name in ("histogram/u", "increments/1/u", "increments/4/u", "increments/16/u"):
        density = np.exp(-(centers**2) / 2) / np.sqrt(2 * np.pi)
        figures |= {
            f"{name}/centers": centers,
            f"{name}/solver": density,
            f"{name}/generator": density * np.exp(0.05 * rng.normal(size=60)),
            f"{name}/low": density * 0.93,
            f"{name}/high": density * 1.07,
        }
    names = [
        "spectrum",
        "values",
        "increments",
        "extreme_quantiles",
        "correlation",
        "sliced_wasserstein",
        "kernel",
    ]
    distances = {}
    for index, name in enumerate(names):
        ratio = [1.9, 0.9, 1.1, 1.3, 1.0, 1.2, 0.8][index]
        distances[name] = {
            "value": 0.01 * ratio,
            "floor": 0.01,
            "null95": 0.0155,
            "ratio": ratio,
            "ratio_ci": [ratio * 0.85, ratio * 1.2],
            "n": 2048,
            "inside": ratio < 1.5,
            "p_value": 0.2,
        }
    grid = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
    curves = {}
    for start, size, rate in (("generator", 2.5, 2.0), ("gaussian", 20.0, 12.0), ("initial", 60.0, 25.0)):
        own = [t for t in grid if start != "generator" or t >= 2.0]
        curves[start] = {"time": own}
        entered = {}
        for name in names:
            values = [0.9 + size * float(np.exp(-(t - own[0]) / rate)) * (1 + 0.1 * rng.normal()) for t in own]
            curves[start][name] = values
            inside = [t for t, value in zip(own, values) if value < 1.5]
            entered[name] = inside[0] if inside and start != "initial" else None
        curves[start] |= {"enters": entered, "enters_all": entered["spectrum"]}
        curves[start] |= {"p_value": [0.5] * len(own), "inside": [True] * len(own)}
    search = [
        {
            "points": n,
            "dt": dt,
            "order": order,
            "seconds_per_sample": 1e-4 * n / 32 / dt,
            "error": 1 + 8 * dt / order,
            "worst": 2 + 16 * dt,
            "reaches": dt < 0.15,
            "ratios": {},
        }
        for n in (32, 64)
        for dt in (0.1, 0.2, 0.5)
        for order in (2, 4)
    ]
    search[5] |= {"seconds_per_sample": 1e-4, "error": None, "worst": None, "failed": "fields are not finite"}
    comparison = {
        "task": "snapshot",
        "n": 2048,
        "draws": 50,
        "channels": ["u"],
        "units": {"u": "", "x": "", "time": ""},
        "distances": distances,
        "scores": {
            "diversity": {"value": 0.98, "target": 1.0, "null": [0.97, 1.03]},
            "memorising": {"value": 0.31, "target": 0.5, "null": [0.46, 0.54]},
        },
        "refinement": curves,
        "refinement_null": dict.fromkeys(names, 1.55),
        "cost": {
            "generator_seconds_per_sample": 2.1e-4,
            "carry_seconds_per_sample": 6e-5,
            "reference_seconds_per_sample": 4.2e-3,
            "cheapest": {key: search[0][key] for key in ("points", "dt", "order", "seconds_per_sample", "error")},
            "search": search,
            "data_seconds": 41.0,
            "training_seconds": 318.0,
            "spin_up_saved": 18.0,
            "break_even": 448_750,
        },
        "baselines": {},
        "verdict": "The generator cannot be told from the solver in 6 of 7 distances.",
    }
    if forecast:
        figures |= forecast_figures(rng, x)
    files.write_arrays(path / "figures.npz", figures)
    files.write_json(path / "comparison.json", comparison)
    rows = []
    for step in range(0, 4001, 50):
        decay = float(np.exp(-step / 900))
        rows.append(
            {
                "step": step,
                "seconds": step * 0.08,
                "discriminator_loss": 0.69 - 0.1 * decay + 0.01 * rng.normal(),
                "generator_loss": 0.75 + 0.4 * decay + 0.02 * rng.normal(),
                "gradient_generator": 0.2 + decay,
                "gradient_discriminator": 0.5 + 0.8 * decay,
                "tau": min(2.0, 0.5 + step / 300),
                "invalid": 0.0,
                "validation": 0.02 + 0.4 * decay,
                "discriminator_r1": 0.03 + 0.01 * decay,
                "discriminator_r2": 0.04 + 0.01 * decay,
            }
        )
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files.write_json(path / "data.json", {"key": "0123456789abcdef", "certificate": {"defect": 2e-7}})


def forecast_figures(rng, x):
    """Arrays of a forecast: four cases, five times."""
    times = np.linspace(0, 1, 5)
    truth = np.stack([wave(rng, times, x) for _ in range(4)])
    figures = {
        "forecast/times": times,
        "forecast/coordinates": x,
        "forecast/truth": truth,
        "forecast/points": x[[5, 20, 40, 55]],
        "forecast/observations": truth[:, 0, [5, 20, 40, 55], 0],
        "forecast/case_labels": np.array(
            ["viscosity 0.02", "viscosity 0.05", "viscosity 0.1", "viscosity 0.2, outside"]
        ),
        "rank/generator": np.array([30, 22, 18, 15, 14, 15, 19, 21, 33]),
        "rank/reference": np.array([20, 21, 20, 22, 19, 20, 21, 20, 19]),
    }
    for who, bias in (("generator", 0.15), ("reference", 0.05)):
        figures[f"forecast/{who}_mean"] = truth + bias * rng.normal(size=(4, 5, 1, 1))
        figures[f"forecast/{who}_std"] = np.broadcast_to(0.25 + 0.1 * np.sin(x)[:, None], truth.shape)
    return figures
