"""Pictures of virtual runs: responses at a few settings beside those of real runs."""

from __future__ import annotations

import numpy as np

from experiments.evaluation.results import Comparison
from experiments.plots.style import GENERATOR, SOLVER, Arrays, Picture, channel_names, labelled, panels, style


def clouds(figures: Arrays, comparison: Comparison) -> list[Picture]:
    """Two responses against each other, or one by its cumulative distribution, at settings that no method has seen."""
    if not {"runs/real", "runs/generator"} <= figures.keys():
        return []
    sides = (("real runs", figures["runs/real"], SOLVER), ("generator", figures["runs/generator"], GENERATOR))
    count, channels = len(sides[0][1]), sides[0][1].shape[-1]
    names = [labelled(comparison, name) for name in channel_names(comparison, channels)]
    columns = min(3, count)
    with style():
        figure, grid = panels((2.6 * columns, 2.4 * -(-count // columns)), -(-count // columns), columns)
        for place, axes in enumerate(grid.flat):
            if place >= count:
                axes.set_axis_off()
                continue
            for label, runs, colour in sides:
                if channels > 1:
                    axes.plot(*runs[place][:, :2].T, ".", color=colour, markersize=3, alpha=0.5, label=label)
                else:
                    ordered = np.sort(runs[place][:, 0])
                    axes.step(ordered, (np.arange(len(ordered)) + 1) / len(ordered), color=colour, label=label)
            axes.set_title(f"setting {place + 1}")
        grid[0, 0].legend(fontsize=7)
        figure.supxlabel(names[0], fontsize=10)
        figure.supylabel(names[1] if channels > 1 else "share of the runs below", fontsize=10)
    return [Picture(figure, f"Real runs and virtual ones at {count} settings that no method has seen, not chosen.")]
