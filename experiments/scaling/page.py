"""The page and the table of a scaling study."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence

from experiments.report.pieces import definitions, document, gallery, number, seconds, table
from experiments.scaling.fit import LeftOut, Model, fitted, left_out
from experiments.scaling.goodput import Goodput, goodput
from experiments.scaling.machines import MACHINES, SHARE, predictions
from experiments.scaling.pictures import pictures
from experiments.scaling.records import MEANINGS, PHASES, Point, Study

_SHARED = (
    "The devices of this study are shares of one CPU and stand in line for its cores. More devices than cores cannot "
    "be faster than as many as there are cores: what the study shows there is the cost of spreading, not a gain."
)


def csv_of(study: Study, hours: float) -> str:
    """Return the table: one row for each point, in seconds, bytes and operations per second."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "devices", "processes", "batch", "scaling", "update_seconds", "shortest", "longest", "step_seconds",
            "samples_per_second", *(f"{name}_seconds" for name in PHASES), "operations", "operations_per_second",
            "matrix_rate_per_device", "utilisation", "memory_rate_per_device", "start_seconds", "compile_seconds",
            "save_seconds", "validation_seconds", "program_bytes", "device_bytes", "process_bytes", "joules", "goodput",
        ]
    )  # fmt: skip
    for one in study.points:
        phases = [one.phases[name].seconds if name in one.phases else "" for name in PHASES]
        writer.writerow(
            [
                one.devices, one.processes, one.batch, _kind(one, study), one.seconds, *one.spread, one.step_seconds,
                one.samples_per_second, *phases, one.operations, one.rate, one.matrix_rate, one.utilisation,
                one.memory_rate, one.start_seconds, one.compile_seconds, one.save_seconds, one.validation_seconds,
                one.program_bytes, "" if one.device_bytes is None else one.device_bytes, one.process_bytes,
                "" if one.joules is None else one.joules,
                goodput(one, study.updates, study.saving_every, hours).share,
            ]
        )  # fmt: skip
    return text.getvalue()


def _kind(point: Point, study: Study) -> str:
    weak, strong = point in study.weak, point in study.strong
    return "both" if weak and strong else "weak" if weak else "strong" if strong else "neither"


def page_of(study: Study, command: str, hours: float) -> str:
    """Return the page as text."""
    fixed = ", ".join([f"preset {study.preset}", *(f"{name} = {value}" for name, value in study.settings.items())])
    versions = ", ".join(f"{name} {one}" for name, one in study.versions.items())
    device = f"{study.device}, {study.cores} cores" if study.forced else study.device
    head = (
        f"<header><h1>Scaling of {html.escape(study.experiment)}</h1>"
        f'<p class="soft">{html.escape(fixed)}; {html.escape(device)}, load {study.load:.1f} before; '
        f"{html.escape(versions)}</p></header>"
        f'<div class="verdict"><p>{html.escape(verdict(study))}</p></div>'
    )
    return document(
        f"Scaling of {study.experiment}",
        [
            head,
            _curves(study),
            _table(study),
            _phases(study),
            _model(study),
            _machines(study),
            _goodput(study, hours),
            _failures(study),
            f"<section><h2>To repeat it</h2><pre>{html.escape(command)}</pre></section>",
        ],
    )


def verdict(study: Study) -> str:
    """Say in a sentence or two what came out."""
    weak = [one for one in study.weak if one.processes == 1] or study.weak
    if len(weak) < 2:
        said = f"{_rate(study.points[0])} on {_devices(study.points[0].devices)}."
    else:
        gain = weak[-1].samples_per_second / weak[0].samples_per_second
        said = (
            f"{_devices(weak[-1].devices).capitalize()} with the same batch each train on {gain:.2f} times the samples "
            f"per second of {_devices(weak[0].devices)}: {_rate(weak[-1])} against {_rate(weak[0])}."
        )
    errors = [one for one in left_out(study) if one.error is not None]
    for one in errors:
        said += (
            f" The model of the smaller counts predicts the update of {_devices(one.devices)} with the batch "
            f"{one.batch} with an error of {100 * (one.error or 0.0):+.0f}%."
        )
    return said


def _rate(point: Point) -> str:
    return f"{point.samples_per_second:.4g} samples per second"


def _devices(count: int) -> str:
    return f"{count} device{'s' if count > 1 else ''}"


def _curves(study: Study) -> str:
    shared = f"<p>{html.escape(_SHARED)}</p>" if study.forced else ""
    return f"<section><h2>How it scales</h2>{shared}{gallery(pictures(study))}</section>"


def _named(point: Point) -> list[str]:
    return [str(point.devices), str(point.processes), number(point.batch)]


def _table(study: Study) -> str:
    head = [
        "devices", "processes", "batch", "scaling", "an update", "shortest to longest", "samples per second",
        "operations per second", "of the matrix rate", "compile", "memory of the program", "of a device",
        "of the process", "energy of an update",
    ]  # fmt: skip
    rows = [
        [
            *_named(one),
            _kind(one, study),
            seconds(one.seconds),
            f"{seconds(one.spread[0])} to {seconds(one.spread[1])}",
            number(one.samples_per_second),
            _per_second(one.rate),
            f"{100 * one.utilisation:.2g}%",
            seconds(one.compile_seconds),
            _bytes(one.program_bytes),
            _bytes(one.device_bytes),
            _bytes(one.process_bytes),
            "–" if one.joules is None else f"{number(one.joules)} J",
        ]
        for one in study.points
    ]
    text = (
        "<p>Operations are those that the mathematics of networks, transforms and solver needs, counted from the "
        "configuration and not by the compiler; the matrix rate is that of large products on the same devices, "
        "measured while all of them work. The memory of the program is that of one device: arguments, results and "
        "temporary arrays. A dash stands where devices do not report.</p>"
    )
    return f"<section><h2>Updates</h2>{text}{table(head, rows)}</section>"


def _per_second(rate: float) -> str:
    return f"{rate / 1e9:.3g} G/s"


def _bytes(count: int | None) -> str:
    return "–" if count is None else f"{count / 1e6:.4g} MB"


def _phases(study: Study) -> str:
    shown = [name for name in PHASES if any(name in one.phases for one in study.points)]
    rows = [
        [*_named(one), *(_signed(one.phases[name].seconds) if name in one.phases else "–" for name in shown)]
        for one in study.points
    ]
    meanings = definitions({name: MEANINGS[name] for name in shown}, "What each phase is")
    return (
        f"<section><h2>Phases of an update</h2>{table(['devices', 'processes', 'batch', *shown], rows)}{meanings}"
        "</section>"
    )


def _signed(value: float) -> str:
    return f"−{seconds(-value)}" if value < 0 else seconds(value)


def _model(study: Study) -> str:
    model = fitted(study)
    if model is None:
        text = "<p>The points do not suffice to fit the model: it takes two batches for each processor.</p>"
        return f"<section><h2>The model</h2>{text}</section>"
    text = (
        "<p>seconds = a&nbsp;W + f&nbsp;C + l&nbsp;H + g&nbsp;B&nbsp;C, with W samples for each processor, C devices "
        "for each processor, H messages on the longest path of a reduction and B bytes that a device sends in it: "
        f"a = {seconds(model.sample_seconds)}, f = {seconds(model.fixed_seconds)}, "
        f"l = {seconds(model.message_seconds)}, 1/g = {_bandwidth(model)}; {number(model.reduced_bytes)} bytes are "
        "reduced in an update.</p>"
    )
    found = left_out(study)
    shown = table(
        ["devices", "batch", "measured", "predicted by the smaller counts", "error"],
        [[str(one.devices), number(one.batch), seconds(one.measured), _predicted(one), _error(one)] for one in found],
    )
    return f"<section><h2>The model</h2>{text}{shown if found else ''}{_beyond(study, model)}</section>"


def _bandwidth(model: Model) -> str:
    return "–" if not model.byte_seconds else f"{1e-9 / model.byte_seconds:.3g} GB/s"


def _predicted(one: LeftOut) -> str:
    return "too few to tell" if one.predicted is None else seconds(one.predicted)


def _error(one: LeftOut) -> str:
    return "–" if one.error is None else f"{100 * one.error:+.1f}%"


def _beyond(study: Study, model: Model) -> str:
    most = max(one.devices for one in study.points)
    rows = []
    for devices in (2 * most, 4 * most, 8 * most):
        for kind, batch in (("weak", study.batch * devices), ("strong", study.batch)):
            parts = model.parts(devices, batch)
            if parts is None or (kind == "strong" and batch < devices):
                continue
            total = sum(parts.values())
            rows.append(
                [str(devices), kind, number(batch), seconds(total), number(batch / total)]
                + [f"{100 * one / total:.0f}%" for one in parts.values()]
            )
    if not rows:
        return ""
    head = ["devices", "scaling", "batch", "an update", "samples per second", "samples", "fixed", "latency", "traffic"]
    return (
        f"<p>What the model says beyond the measured counts, with the same links and the same processors:</p>"
        f"{table(head, rows)}"
    )


def _machines(study: Study) -> str:
    rows = [
        [
            one.machine.name,
            number(one.batch),
            seconds(one.seconds),
            number(one.samples_per_second),
            *(f"{100 * part / one.seconds:.0f}%" for part in (one.compute, one.fixed, one.communication)),
            f"{100 * one.efficiency:.0f}%",
        ]
        for one in predictions(study)
    ]
    head = ["machine", "batch", "an update", "samples per second", "computing", "fixed", "communication", "efficiency"]
    text = (
        "<p>The model with the operations and reduced bytes of this configuration and assumed rates, not measured: "
        f"{100 * SHARE:g}% of each device's rate in float32 is assumed to be reached. The efficiency is the rate of a "
        "device over that of one alone with the same share of the batch.</p>"
    )
    meanings = definitions({one.name: one.because for one in MACHINES}, "What is assumed of each machine")
    return f"<section><h2>Other machines</h2>{text}{table(head, rows, text=[0])}{meanings}</section>"


def _goodput(study: Study, hours: float) -> str:
    rows = []
    for one in study.points:
        found = goodput(one, study.updates, study.saving_every, hours)
        rows.append([*_named(one), f"{100 * found.share:.1f}%", *_shares(found), seconds(found.seconds)])
    head = [
        "devices", "processes", "batch", "goodput", "data and host", "start", "compile", "saving", "lost work",
        "whole training",
    ]  # fmt: skip
    text = (
        f"<p>The share of a training's wall time that is spent in updates that count, for {number(study.updates)} "
        f"updates with a checkpoint every {number(study.saving_every)}. Lost work is that of failures, on average one "
        f"in {hours:g} hours of each device, each of which costs half of the time between two "
        "checkpoints and a start.</p>"
    )
    return f"<section><h2>Goodput</h2>{text}{table(head, rows)}</section>"


def _shares(found: Goodput) -> Sequence[str]:
    parts = (found.data, found.start, found.compile, found.saving, found.lost)
    return [f"{100 * one / found.seconds:.2g}%" for one in parts]


def _failures(study: Study) -> str:
    items = "".join(f"<li><b>{html.escape(name)}</b>: {html.escape(why)}</li>" for name, why in study.failures.items())
    return f"<section><h2>What could not be measured</h2><ul>{items}</ul></section>" if items else ""
