"""One picture of every system, drawn from short solves: docs/images/gallery.png.

    python benchmarks/gallery.py [--only NAME ...] [--out docs/images/gallery.png]

Fields on a line are drawn with x to the right and time upwards, fields in the plane at the last time, points as
their course in time or their orbit. Systems without a picture here are named at the end. Some three minutes.
"""

import argparse
import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import physics
from physics import Grid, NoisePath, SteadySystem, StochasticSystem, System, derivative, solve, solve_steady

OUT = Path(__file__).parents[1] / "docs" / "images" / "gallery.png"
TAU = 2 * np.pi
# Perceptually uniform: one scale with a dark middle for signed fields, one for the others.
SIGNED, PLAIN = "berlin", "viridis"
COLUMNS = 8


class Picture(NamedTuple):
    """A system with its values, how long it runs, and how it is drawn."""

    make: Callable[[], Any]
    end: float
    draw: Callable[[Axes, Any, np.ndarray, np.ndarray], None]
    start: Callable[[Any, Any], Any] | None = None
    frames: int = 1
    dt: float | None = None
    stepsize_controller: Callable[[Any], Any] | None = None


def plane(view: Callable[[Any, np.ndarray], Any] | int = 0, cmap: str = SIGNED) -> Callable:
    """The last field, a channel or a function of it, axis 0 to the right and axis 1 upwards."""

    def draw(axes: Axes, system: Any, times: np.ndarray, trajectory: np.ndarray) -> None:
        last = trajectory[-1]
        field = np.asarray(last[..., view] if isinstance(view, int) else view(system, last))
        limit = np.abs(field).max() if cmap == SIGNED else None
        low = -limit if limit is not None else None
        axes.imshow(field.T, origin="lower", cmap=cmap, vmin=low, vmax=limit, interpolation="bilinear")

    return draw


def line(channel: int = 0, cmap: str = SIGNED) -> Callable:
    """Space to the right, time upwards."""

    def draw(axes: Axes, system: Any, times: np.ndarray, trajectory: np.ndarray) -> None:
        field = trajectory[..., channel]
        limit = np.abs(field).max() if cmap == SIGNED else None
        low = -limit if limit is not None else None
        axes.imshow(field, origin="lower", aspect="auto", cmap=cmap, vmin=low, vmax=limit, interpolation="bilinear")

    return draw


def orbit(first: int, second: int) -> Callable:
    """One channel against another."""

    def draw(axes: Axes, system: Any, times: np.ndarray, trajectory: np.ndarray) -> None:
        axes.plot(trajectory[:, first], trajectory[:, second], color="#30123b", linewidth=0.5)

    return draw


def course(*, logarithmic: bool = False, scale: tuple[float, ...] = ()) -> Callable:
    """Every channel against time."""

    def draw(axes: Axes, system: Any, times: np.ndarray, trajectory: np.ndarray) -> None:
        colors = matplotlib.colormaps[PLAIN](np.linspace(0.0, 0.8, trajectory.shape[-1]))
        for channel, color in enumerate(colors):
            factor = scale[channel] if scale else 1.0
            axes.plot(times, factor * trajectory[:, channel], color=color, linewidth=0.9)
        if logarithmic:
            axes.set_xscale("log")

    return draw


def _speed(system: Any, u: np.ndarray) -> np.ndarray:
    return np.linalg.norm(u, axis=-1)


def _vertical_vorticity(system: Any, u: np.ndarray) -> np.ndarray:
    curl = derivative(u[..., 1:2], system.grid, 0) - derivative(u[..., :1], system.grid, 1)
    return np.asarray(curl)[:, :, 4, 0]


def _permeability(grid: Grid) -> np.ndarray:
    nodes = Grid((32, 32), grid.extent, grid.boundary)
    return np.exp(physics.KarhunenLoeveField(grid, nodes=nodes).sample(jax.random.key(2)))


def _spots(grid: Grid) -> np.ndarray:
    x, y = grid.mesh()
    signs = [(0.3, 0.3, 1.0), (0.7, 0.4, -1.0), (0.45, 0.75, 1.0)]
    return sum(sign * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 0.005) for a, b, sign in signs)[..., None]


def _layered(grid: Grid) -> np.ndarray:
    x, depth = grid.mesh()
    return 1.0 + 0.6 * (1 + np.tanh((np.sin(TAU * depth / 4) + 0.4 * np.sin(TAU * x / 4)) * 3))


def _pulse(system: Any, key: Any) -> np.ndarray:
    x, y = system.grid.mesh()
    pulse = np.exp(-((x - 2) ** 2 + (y - 1.9) ** 2) / (2 * 0.1**2))
    return np.stack([pulse, 0 * pulse], -1)


def _solitons(system: Any, key: Any) -> Any:
    return system.soliton(1.0, 5.0) + system.soliton(0.6, 20.0)


def _packets(system: Any, key: Any) -> Any:
    return system.soliton(1.2, TAU * 4 / 40, 10.0) + system.soliton(1.0, -TAU * 3 / 40, 28.0)


SQUARE = Grid((64, 64), (TAU, TAU))
FINE = Grid((128, 128), (TAU, TAU))
WALLS, HELD = Grid((64, 64), (1.0, 1.0), "neumann"), Grid((64, 64), (1.0, 1.0), "dirichlet")
PICTURES: dict[str, Picture] = {
    "Advection": Picture(lambda: physics.Advection(Grid((128,), (TAU,))), 4.0, line(), frames=64),
    "Heat": Picture(lambda: physics.Heat(Grid((128,), (TAU,))), 4.0, line(), frames=64),
    "Wave": Picture(lambda: physics.Wave(Grid((128,), (TAU,), "dirichlet")), 12.0, line(), frames=120),
    "SeismicWave": Picture(
        lambda: physics.SeismicWave(Grid((128, 128), (4.0, 4.0)), _layered(Grid((128, 128), (4.0, 4.0)))),
        0.85,
        plane(),
        _pulse,
    ),
    "Burgers": Picture(lambda: physics.Burgers(Grid((256,), (TAU,)), 0.02), 4.0, line(), frames=100),
    "Burgers2D": Picture(lambda: physics.Burgers2D(FINE, 0.03), 1.2, plane(_speed, PLAIN)),
    "KortewegDeVries": Picture(
        lambda: physics.KortewegDeVries(Grid((192,), (50.0,))), 12.0, line(cmap=PLAIN), _solitons, 100
    ),
    "KuramotoSivashinsky": Picture(
        lambda: physics.KuramotoSivashinsky(Grid((128,), (100.0,))), 150.0, line(), frames=150
    ),
    "NonlinearSchroedinger": Picture(
        lambda: physics.NonlinearSchroedinger(Grid((256,), (40.0,))),
        24.0,
        lambda axes, s, t, u: line(cmap=PLAIN)(axes, s, t, _speed(s, u)[..., None]),
        _packets,
        120,
    ),
    "AllenCahn": Picture(lambda: physics.AllenCahn(FINE, 0.12), 12.0, plane()),
    "CahnHilliard": Picture(lambda: physics.CahnHilliard(FINE, 0.1), 1.0, plane()),
    "FisherKPP": Picture(lambda: physics.FisherKPP(Grid((96, 96), (50.0, 50.0))), 8.0, plane(cmap=PLAIN)),
    "GrayScott": Picture(lambda: physics.GrayScott(Grid((128, 128), (1.25, 1.25))), 1500.0, plane(1, PLAIN)),
    "SwiftHohenberg": Picture(lambda: physics.SwiftHohenberg(Grid((96, 96), (24 * np.pi,) * 2)), 80.0, plane()),
    "NavierStokes2D": Picture(lambda: physics.NavierStokes2D(FINE, 5e-4), 12.0, plane()),
    "StochasticNavierStokes2D": Picture(lambda: physics.StochasticNavierStokes2D(SQUARE), 12.0, plane()),
    "BarotropicVorticity": Picture(lambda: physics.BarotropicVorticity(SQUARE, 20.0), 30.0, plane()),
    "ShallowWater": Picture(lambda: physics.ShallowWater(SQUARE), 15.0, plane(2)),
    "SmokePlume": Picture(lambda: physics.SmokePlume(Grid((64, 96), (4.0, 6.0))), 12.0, plane(1, "magma")),
    "NavierStokes3D": Picture(
        lambda: physics.NavierStokes3D(Grid((32, 32, 32), (TAU,) * 3)),
        5.0,
        plane(_vertical_vorticity),
        lambda s, key: s.taylor_green(),
    ),
    "Landscape": Picture(
        lambda: physics.Landscape(Grid((48, 48), (1.0, 1.0), ("periodic", "dirichlet")), erodibility=200.0),
        0.15,
        plane(cmap="gist_earth"),
    ),
    "CosmicWeb": Picture(
        lambda: physics.CosmicWeb(Grid((96, 96), (1.0, 1.0))),
        2.5,
        plane(lambda s, u: np.log10(1.05 + np.asarray(s.density(u))), "inferno"),
    ),
    "Lorenz63": Picture(lambda: physics.Lorenz63(), 40.0, orbit(0, 2), frames=4000),
    "Lorenz96": Picture(lambda: physics.Lorenz96(), 20.0, line(), frames=200),
    "Lorenz96TwoScale": Picture(lambda: physics.Lorenz96TwoScale(), 5.0, line(), frames=200),
    "Pendulum": Picture(
        lambda: physics.Pendulum(damping=0.1), 20.0, orbit(0, 1), lambda s, key: np.asarray([-9.0, 8.0]), 1000
    ),
    "LotkaVolterra": Picture(lambda: physics.LotkaVolterra(), 40.0, course(), frames=400),
    "ReplicatorMutator": Picture(lambda: physics.ReplicatorMutator(), 60.0, course(), frames=600),
    "SIR": Picture(lambda: physics.SIR(), 120.0, course(), frames=240),
    "Robertson": Picture(
        lambda: physics.Robertson(),
        1e7,
        course(logarithmic=True, scale=(1.0, 2e4, 1.0)),
        lambda s, key: np.asarray([1.0, 0.0, 0.0]),
        120,
        stepsize_controller=lambda s: s.stepsize_controller,
    ),
    "OrnsteinUhlenbeck": Picture(lambda: physics.OrnsteinUhlenbeck(), 20.0, course(), frames=400),
    "DoubleWell": Picture(lambda: physics.DoubleWell(), 200.0, course(), frames=1000),
    "Darcy": Picture(
        lambda: physics.Darcy(WALLS, _permeability(WALLS), physics.corner_wells(WALLS)), 0.0, plane(cmap=PLAIN)
    ),
    "Poisson": Picture(lambda: physics.Poisson(HELD, _spots(HELD)), 0.0, plane()),
    "Helmholtz": Picture(lambda: physics.Helmholtz(HELD, _spots(HELD), 4.2), 0.0, plane()),
    "EnergyBalance": Picture(lambda: physics.EnergyBalance(), 60.0, line(cmap=PLAIN), frames=120),
}


def run(picture: Picture, key: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """The system, the times and the fields of one picture."""
    system = picture.make()
    if isinstance(system, SteadySystem):
        return system, np.zeros(1), np.asarray(solve_steady(system))[None]
    u0 = (picture.start or (lambda s, k: s.sample_initial(k)))(system, key)
    if picture.stepsize_controller is not None:
        times = np.geomspace(1e-5, picture.end, picture.frames)
        with jax.enable_x64(True):
            u0 = jnp.asarray(np.asarray(u0), jnp.float64)
            controller = picture.stepsize_controller(system)
            return system, times, np.asarray(solve(system, u0, times, stepsize_controller=controller))
    times = np.linspace(0, picture.end, picture.frames + 1)[1 if picture.frames == 1 else 0 :]
    noise = {"noise": NoisePath(key)} if isinstance(system, StochasticSystem) else {}
    u0 = jnp.asarray(np.asarray(u0), jnp.float32)
    return system, times, np.asarray(solve(system, u0, times, dt=picture.dt, **noise))


def main() -> None:
    """Solve, draw, name what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=sorted(PICTURES), help="these systems alone")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    names = arguments.only or list(PICTURES)

    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(1.75 * columns, 1.95 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set(xticks=[], yticks=[])
        axes.set_axis_off()
    for axes, name in zip(panels, names):
        began = time.perf_counter()
        system, times, trajectory = run(PICTURES[name], jax.random.key(1))
        if not np.all(np.isfinite(trajectory)):
            raise ValueError(f"{name} blew up: shorten its step in PICTURES.")
        axes.set_axis_on()
        PICTURES[name].draw(axes, system, times, trajectory)
        axes.set_title(name, fontsize=8)
        axes.set(xticks=[], yticks=[])
        axes.minorticks_off()
        print(f"{name:>26} {time.perf_counter() - began:6.1f} s", flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, dpi=80, pil_kwargs={"optimize": True})
    missing = [name for name in physics.__all__ if _is_system(getattr(physics, name)) and name not in PICTURES]
    print(f"written to {arguments.out}; without a picture: {', '.join(missing) or 'none'}")


def _is_system(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, System | SteadySystem) and not inspect.isabstract(thing)


if __name__ == "__main__":
    main()
