"""The enstrophy peak of the three-dimensional Taylor-Green vortices at Reynolds number 1600.

    python benchmarks/taylor_green_enstrophy.py [--points 64] [--reynolds 1600] [--time 10] [--dt 0.01]

Prints time, energy and enstrophy per unit volume, the dissipation 2 nu enstrophy of the energy budget, and the peak.
Published at Re = 1600: the dissipation peaks near t = 9 (Brachet et al., 1983, J. Fluid Mech. 130) at about 0.013 (van
Rees et al., 2011, J. Comput. Phys. 230, 512^3 points; in units of V_0^3 / L). 64^3 points do not resolve it.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.files import write_json
from physics import Grid, NavierStokes3D, advance


def main() -> None:
    """Solve, print a row per time, name the peak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--reynolds", type=float, default=1600.0)
    parser.add_argument("--time", type=float, default=10.0)
    parser.add_argument("--dt", type=float, default=0.01)
    parser.add_argument("--every", type=float, default=0.25, help="time between two rows")
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()

    grid = Grid((arguments.points,) * 3, (2 * np.pi,) * 3)
    system = NavierStokes3D(grid, 1 / arguments.reynolds)
    steps = round(arguments.every / arguments.dt)
    step = jax.jit(lambda u: advance(system, u, arguments.dt, steps), donate_argnums=0)
    measure = jax.jit(lambda u: {k: v for k, v in system.budgets(u).items() if k != "helicity"})
    u, rows = system.taylor_green().astype(jnp.float32), []
    print(f"{'time':>6} {'energy':>10} {'enstrophy':>10} {'dissipation':>12}")
    for n in range(round(arguments.time / arguments.every) + 1):
        if n:
            u = step(u)
        budgets = jax.device_get(measure(u))
        row = {
            "time": n * arguments.every,
            "energy": float(budgets["energy"]["value"]),
            "enstrophy": float(budgets["enstrophy"]["value"]),
            "dissipation": -float(budgets["energy"]["dissipation"]),
        }
        rows.append(row)
        print("{time:6.2f} {energy:10.6f} {enstrophy:10.5f} {dissipation:12.6f}".format(**row), flush=True)
    peak = max(rows, key=lambda row: row["enstrophy"])
    print("peak at t = {time:g}: enstrophy {enstrophy:.4f}, dissipation {dissipation:.5f}".format(**peak))
    if arguments.out:
        described = {"points": arguments.points, "reynolds": arguments.reynolds, "dt": arguments.dt}
        device = jax.devices()[0].device_kind
        write_json(arguments.out, {**described, "device": device, "rows": rows, "peak": peak})


if __name__ == "__main__":
    main()
