"""Progress of a run: bars with rates and remaining time on a terminal, a plain line every few seconds
elsewhere.

The other wings never print. They call what they are given, and these are the callables:
``Progress.task(label)`` takes ``(done, total, what)`` with a text or a dict of numbers, which fits data
generation, training and the comparison alike.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, SupportsFloat

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.progress import Task as BarTask
from rich.text import Text

Update = Callable[[int, int, "str | Mapping[str, object]"], None]


def _say_nothing(done: int, total: int, what: str | Mapping[str, Any] = "") -> None:
    pass


_SHOWN = (
    ("generator_loss", "G"),
    ("discriminator_loss", "D"),
    ("loss/generator", "G"),
    ("loss/discriminator", "D"),
    ("tau", "tau"),
    ("invalid", "invalid"),
    ("invalid_share", "invalid"),
    ("validation", "validation"),
)


def brief(what: str | Mapping[str, object]) -> str:
    """One short text for a bar: the text itself, or of many metrics the few that tell how a training goes."""
    if isinstance(what, str):
        return what
    parts = []
    for name, label in _SHOWN:
        if isinstance(value := what.get(name), SupportsFloat):
            share = name.startswith("invalid")
            if share and not float(value):
                continue
            parts.append(f"{label} {100 * float(value):.1f}%" if share else f"{label} {float(value):.3g}")
    return ", ".join(parts)


class _Rate(ProgressColumn):
    """Steps per second, or seconds per step where they are slow."""

    def render(self, task: BarTask) -> Text:
        return Text(rate(task.finished_speed or task.speed), style="progress.data.speed")


def rate(speed: float | int | None) -> str:
    """Say a speed in the unit that reads well: ``12.3/s``, or ``4.1 s each``."""
    if not speed:
        return ""
    return f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"


def duration(seconds: float | int) -> str:
    """Say a duration as ``42 s``, ``3 min 05 s`` or ``2 h 10 min``."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


class _Stage:
    """Tells where a task begins anew: a comparison counts draws first, then refinements, then solvers."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def begins(self, done: int, total: int) -> bool:
        """Whether this count belongs to another stage than the one before."""
        new = self._last is None or total != self._last[1] or done < self._last[0]
        self._last = (done, total)
        return new


class Progress:
    """A context in which tasks report. ``silent=True`` reports nothing, for use from Python."""

    def __init__(self, *, silent: bool = False, stream: Any = None, every: float | int = 5.0) -> None:
        self._silent = silent
        self._stream = stream or sys.stderr
        self._every = every
        self._bars: Bars | None = None
        console = Console(file=self._stream, highlight=False)
        if not silent and console.is_terminal:
            self._bars = Bars(
                TextColumn("{task.description:<12}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                _Rate(),
                TimeRemainingColumn(compact=True, elapsed_when_finished=True),
                TextColumn("{task.fields[what]}", style="dim"),
                console=console,
                speed_estimate_period=30,
            )

    def __enter__(self) -> Progress:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def note(self, text: str) -> None:
        """Print one line that stays."""
        if self._silent:
            return
        if self._bars:
            self._bars.console.print(text, markup=False, soft_wrap=True)
        else:
            self._line(text)

    def task(self, label: str) -> Update:
        """Start a task; call the result with ``(done, total, what)`` as often as you like."""
        if self._silent:
            return _say_nothing
        return self._bar(label) if self._bars else self._plain(label)

    def data(self, label: str = "data") -> Update:
        """Start the task of making training fields."""
        return self.task(label)

    def training(self, label: str = "training") -> Update:
        """Start the task of training; ``what`` is the dict of metrics, whose alarms are lines that stay."""
        update = self.task(label)

        def watched(done: int, total: int, what: str | Mapping[str, object] = "") -> None:
            update(done, total, what)
            alarms = () if isinstance(what, str) else what.get("alarms", ())
            for alarm in alarms if isinstance(alarms, list | tuple) else ():
                self.note(f"step {done}: {alarm}")

        return watched

    def compare(self, label: str = "comparison") -> Update:
        """Start the task of comparing."""
        return self.task(label)

    def _bar(self, label: str) -> Update:
        bars = self._bars
        assert bars is not None
        stage = _Stage()
        task: list[TaskID] = []

        def update(done: int, total: int, what: str | Mapping[str, object] = "") -> None:
            if stage.begins(done, total):
                # Steps done before this process, in a resumed run, must not count towards the rate.
                task.append(bars.add_task(label, total=total, completed=done, what=brief(what)))
            bars.update(task[-1], completed=done, total=total, what=brief(what))

        return update

    def _plain(self, label: str) -> Update:
        stage = _Stage()
        first = [(0.0, 0)]
        spoken = [-float("inf")]

        def update(done: int, total: int, what: str | Mapping[str, object] = "") -> None:
            now = time.monotonic()
            if stage.begins(done, total):
                first[0] = (now, done)
            finished = done >= total
            if now - spoken[0] < self._every and not finished:
                return
            spoken[0] = now
            began, before = first[0]
            speed = (done - before) / (now - began) if now > began else 0.0
            parts = [f"{label} {done}/{total}"]
            if speed:
                left = f"took {duration(now - began)}" if finished else f"{duration((total - done) / speed)} left"
                parts += [rate(speed), left]
            if text := brief(what):
                parts.append(text)
            self._line(", ".join(parts))

        return update

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()
