"""What every system's default data set is certified with: the table of docs/physics.md.

    python benchmarks/certificates.py [--only NAME ...]

Made and certified on 16 trajectories of points and lines and on 4 in the plane and in space, of the system that
``example()`` gives; of steady systems on 8 pairs of ``default_steady_data``. The figures do not depend on the machine's
speed; without ``--only`` all of them take about ten minutes. Figures are kept in benchmarks/results/certificates.json,
so that ``--only`` renews those of the systems named.
"""

import argparse
import inspect
import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import physics
from experiments.files import write_json, write_text
from physics import (
    SteadyLimits,
    SteadySystem,
    System,
    default_dataset,
    default_steady_data,
    generate,
    generate_steady,
)

RESULTS = Path(__file__).parent / "results" / "certificates.json"
PAGE = Path(__file__).parents[1] / "docs" / "physics.md"
BEGIN, END = "<!-- certificates: begin -->", "<!-- certificates: end -->"


def systems() -> list[str]:
    """The systems of the suite by name, those that move and those that are steady."""
    public = {name: getattr(physics, name) for name in physics.__all__ if inspect.isclass(getattr(physics, name))}
    return [n for n, s in public.items() if issubclass(s, System | SteadySystem) and not inspect.isabstract(s)]


def certified(name: str) -> dict[str, Any]:
    """The certificate of one system's default data set, with its grid, its times and its limits."""
    kind = getattr(physics, name)
    if issubclass(kind, SteadySystem):
        return _certified_pairs(kind)
    system = kind.example()
    sampler, spec = default_dataset(system, (16 if system.grid.ndim < 2 else 4, 0, 0))
    with tempfile.TemporaryDirectory() as folder:
        made = generate(sampler, spec, cache_dir=folder)
        limits = {"step_error": spec.limits.step_error, "grid_error": spec.limits.grid_error}
        return {
            "points": list(system.grid.shape),
            "dtype": spec.dtype,
            "times": [float(made.times[0]), float(made.times[-1])],
            "limits": limits,
            **made.certificate,
        }


def _certified_pairs(kind: type[SteadySystem]) -> dict[str, Any]:
    sampler, limits = default_steady_data(kind), SteadyLimits()
    with tempfile.TemporaryDirectory() as folder:
        certificate = generate_steady(sampler, limits.pairs, limits=limits, cache_dir=folder).certificate
    return {
        "points": list(sampler.grid.shape),
        "dtype": "float32",
        "limits": {"grid_error": limits.grid_error},
        **certificate,
    }


def table(rows: dict[str, Any], versions: dict[str, str]) -> str:
    """The rows in Markdown."""
    lines = [
        f"Made by `python benchmarks/certificates.py` with {', '.join(f'{n} {v}' for n, v in versions.items())}; worst "
        "trajectory, relative to the field.",
        "",
        "| system | points | dt | data from, to | compared over | half the step | twice the points | largest drift |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(rows.items()):
        points = " x ".join(map(str, row["points"])) or "-"
        if "grid_error" in row:
            limit = row["limits"]["grid_error"]
            grid = f"{row['grid_error']:.1e}" + ("" if limit == 1e-2 else f" (limit {limit:g})")
        else:
            grid = row["grid_error_omitted"]
        if "dt" not in row:
            lines.append(f"| `{name}` | {points} | steady | - | - | - | {grid} | - |")
            continue
        drift = f"{max(row['drift'].values()):.0e}" if row["drift"] else "-"
        lines.append(
            f"| `{name}` | {points} | {row['dt']:.3g} | {row['times'][0]:.4g}, {row['times'][1]:.4g} | "
            f"{row['horizon']:.3g} | {row['step_error']:.1e} | {grid} | {drift} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Make, certify, print, and write the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=systems(), help="the systems to renew")
    chosen = parser.parse_args().only or systems()
    versions = {package: version(package) for package in ("jax", "diffrax")}
    kept = json.loads(RESULTS.read_text())["systems"] if RESULTS.is_file() else {}
    for name in chosen:
        kept[name] = row = certified(name)
        step = f"step {row['step_error']:.1e}" if "step_error" in row else "steady"
        print(f"{name:26s} {step}  grid {row.get('grid_error', row.get('grid_error_omitted'))}")
        RESULTS.parent.mkdir(exist_ok=True)
        write_json(RESULTS, {"versions": versions, "systems": kept})
        before, rest = PAGE.read_text().split(BEGIN)
        write_text(PAGE, f"{before}{BEGIN}\n{table(kept, versions)}\n{END}{rest.split(END)[1]}")
    missing = sorted(set(systems()) - set(kept))
    print("not measured yet: " + (", ".join(missing) or "none"))


if __name__ == "__main__":
    main()
