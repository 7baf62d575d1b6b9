"""Pictures of a scaling study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from experiments.plots.style import GAUSSIAN, GENERATOR, INITIAL, SOLVER, Picture, panels, style
from experiments.scaling.fit import Model, fitted
from experiments.scaling.records import PHASES, Point, Study

_COLOURS = dict(zip(PHASES, ("#999999", GENERATOR, SOLVER, INITIAL, GAUSSIAN, "#cc79a7", "#e69f00", "#56b4e9")))
_WIDE = (4.6, 3.2)
_BEYOND = 4
"""How far beyond the largest count that was measured the model is drawn."""


def pictures(study: Study) -> list[Picture]:
    """Return throughput, efficiency, phases and the roofline; what there are no points for is left out."""
    model = fitted(study)
    found = [_throughput(study, model), _phases(study)]
    if len({one.devices for one in study.points}) > 1:
        found.insert(1, _efficiency(study, model))
    return found + _roofline(study)


def _counts(axes: Axes, counts: Sequence[int]) -> None:
    """Put plain numbers on a logarithmic axis of counts."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(counts)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("devices")


def _of_one_process(points: Sequence[Point]) -> list[Point]:
    return [one for one in points if one.processes == 1] or list(points)


def _beyond(study: Study) -> list[int]:
    """Counts of devices at which the model is drawn."""
    most = max(one.devices for one in study.points)
    return [2**n for n in range(int(np.log2(most * _BEYOND)) + 1)]


def _throughput(study: Study, model: Model | None) -> Picture:
    with style():
        figure, grid = panels(_WIDE)
        axes = grid[0, 0]
        for name, points, colour, marker in (
            ("weak", _of_one_process(study.weak), SOLVER, "o"),
            ("strong", _of_one_process(study.strong), GENERATOR, "s"),
        ):
            if not points:
                continue
            axes.plot(
                [one.devices for one in points],
                [one.samples_per_second for one in points],
                marker,
                color=colour,
                label=f"{name} scaling, measured",
            )
            if model is not None:
                counts = [d for d in _beyond(study) if model.seconds(d, study.batch) is not None]
                batches = [study.batch * d if name == "weak" else study.batch for d in counts]
                rates = [batch / (model.seconds(d, batch) or np.nan) for d, batch in zip(counts, batches)]
                axes.plot(counts, rates, "--", color=colour, linewidth=1, label=f"{name} scaling, model")
        for point in (one for one in study.points if one.processes > 1):
            axes.plot(point.devices, point.samples_per_second, "x", color=GAUSSIAN)
            axes.annotate(f"{point.processes} processes", (point.devices, point.samples_per_second), fontsize=7)
        axes.set_yscale("log")
        _counts(axes, _beyond(study))
        axes.set_ylabel("samples per second")
        axes.legend()
    return Picture(figure, "Samples per second by the number of devices, measured and by the model.")


def _efficiency(study: Study, model: Model | None) -> Picture:
    with style():
        figure, grid = panels(_WIDE)
        axes = grid[0, 0]
        for name, points, colour, marker in (
            ("weak", _of_one_process(study.weak), SOLVER, "o"),
            ("strong", _of_one_process(study.strong), GENERATOR, "s"),
        ):
            if len(points) < 2:
                continue
            first = points[0].samples_per_second / points[0].devices
            shares = [one.samples_per_second / one.devices / first for one in points]
            axes.plot([one.devices for one in points], shares, f"{marker}-", color=colour, label=f"{name} scaling")
        if study.forced:
            counts = sorted({one.devices for one in study.points})
            bound = [min(count, study.cores) / count for count in counts]
            axes.plot(counts, bound, ":", color="#777777", label=f"{study.cores} cores shared by all")
        axes.set_ylim(0, None)
        _counts(axes, sorted({one.devices for one in study.points}))
        axes.set_ylabel("efficiency")
        axes.legend()
    return Picture(figure, "Efficiency: samples per second and device, over those of the smallest count.")


def _phases(study: Study) -> Picture:
    with style():
        # Of the others' width, with the legend below, so that nothing is drawn smaller than in the others.
        height = 1.9 + 0.36 * len(study.points)
        figure, grid = panels((_WIDE[0], height))
        axes = grid[0, 0]
        # A checkpoint comes between updates.
        shown = [name for name in PHASES if name != "checkpoint" and any(name in one.phases for one in study.points)]
        left = np.zeros(len(study.points))
        places = np.arange(len(study.points))
        for name in shown:
            widths = np.array(
                [1e3 * max(one.phases[name].seconds, 0.0) if name in one.phases else 0.0 for one in study.points]
            )
            axes.barh(places, widths, left=left, color=_COLOURS[name], label=name, height=0.7)
            left += widths
        axes.plot(
            [1e3 * one.seconds for one in study.points], places, "|", color="black", markersize=12, label="update"
        )
        axes.set_yticks(places, [_named(one) for one in study.points])
        axes.invert_yaxis()
        axes.set_xlabel("ms an update")
        figure.legend(ncols=3, loc="outside lower center")
    return Picture(figure, "Phases of an update, each timed as a program of its own; the mark is the whole update.")


def _named(point: Point) -> str:
    processes = f" in {point.processes} processes" if point.processes > 1 else ""
    return f"{point.devices} device{'s' if point.devices > 1 else ''}{processes}, batch {point.batch}"


def _roofline(study: Study) -> list[Picture]:
    """The rate of every phase over its operations per byte, beside what memory and matrix unit allow."""
    points = [
        (point, name, phase, phase.bytes)
        for point in _of_one_process(study.weak)
        for name, phase in point.phases.items()
        if phase.operations > 0 and phase.bytes and phase.seconds > 0
    ]
    if not points:
        return []
    with style():
        figure, grid = panels(_WIDE)
        axes = grid[0, 0]
        intensities = [phase.operations / size for _, _, phase, size in points]
        widest = _of_one_process(study.weak)[-1]
        memory, matrix = widest.memory_rate * widest.devices, widest.matrix_rate * widest.devices
        line = np.geomspace(min(*intensities, matrix / memory) / 3, max(*intensities, matrix / memory) * 3, 60)
        axes.plot(line, np.minimum(line * memory, matrix), color="#777777", linewidth=1)
        named = set()
        markers = dict(zip(sorted({point.devices for point, *_ in points}), "os^vDP*X"))
        for point, name, phase, size in points:
            axes.plot(
                phase.operations / size,
                phase.operations / phase.seconds,
                markers.get(point.devices, "o"),
                color=_COLOURS[name],
                label=None if name in named else name,
            )
            named.add(name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("operations per byte")
        axes.set_ylabel("operations per second, all devices")
        # Over less than two decades the labels of minor ticks would overlap.
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.legend()
    many = ", ".join(str(count) for count in markers)
    caption = (
        f"Roofline by phase, weak scaling, {many} devices (marks in this order: circle, square, triangles). The "
        f"line is what memory and matrix products of {widest.devices} devices together reach."
    )
    return [Picture(figure, caption)]
