"""What ends a run before it is done: Ctrl-C, the signals of a scheduler, a time limit.

`StopRequest` takes over SIGTERM, SIGUSR1 (which schedulers send ahead of their limit) and a time limit. Each of them
raises `Stopped` where the run is, as Ctrl-C raises ``KeyboardInterrupt``. A training holds all of them back
(`Interruption`): it finishes its current block of steps, saves its state, and raises then.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType, TracebackType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
_SHARE, _ENDING, _MOST = 0.05, 3.0, 60.0
_SAFETY = 1.5
_AGAIN = 0.5
"""Seconds after which a stop that was lost is raised again."""


def kept_of(limit: float) -> float:
    """Return the seconds of a limit that are kept to end a process which has nothing to save.

    A twentieth of the limit, at least the three seconds that an interpreter may take to start and to end, and at most
    a minute.
    """
    return min(max(_SHARE * limit, _ENDING), _MOST, limit / 2)


class Stopped(BaseException):
    """A run ends as it was asked to: what it has done is kept, and it can go on.

    No ``Exception``, so that nothing that survives errors takes it for one.
    """


class StopRequest:
    """A context that turns SIGTERM, SIGUSR1 and a time limit into `Stopped`.

    Signals are taken over in the main thread alone, as Python allows; in another one, only trainings notice the limit.

    Args:
        limit: seconds from now until the process must have ended; None for no limit.

    Attributes:
        reason: what asked for the stop, in words; None as long as nothing has.

    Example:
        >>> with StopRequest(limit=1800) as stop:
        ...     train(problem, config, folder, stop=stop)
    """

    def __init__(self, limit: float | None = None):
        self.limit, self._began = limit, time.monotonic()
        self.reason: str | None = None
        self._held = self._taken = False

    def __enter__(self) -> StopRequest:
        self._taken = threading.current_thread() is threading.main_thread()
        if self._taken:
            self._before = {one: signal.signal(one, self._handle) for one in (*SIGNALS, signal.SIGALRM)}
            if self.limit is not None:
                signal.setitimer(signal.ITIMER_REAL, max(self.left - kept_of(self.limit), 1e-3))
        return self

    def __exit__(self, *_: object) -> None:
        if self._taken:
            self._taken = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            for one, handler in self._before.items():
                signal.signal(one, handler)

    @property
    def left(self) -> float:
        """Seconds until the limit; infinite where there is none."""
        return float("inf") if self.limit is None else self.limit - self._spent()

    def _spent(self) -> float:
        return time.monotonic() - self._began

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.ask("before its time limit is over" if number == signal.SIGALRM else f"by {signal.Signals(number).name}")

    def ask(self, reason: str) -> None:
        """Ask for the stop: it is raised at once, or by the training that holds it back. Later requests change nothing.

        Raises:
            Stopped: nothing holds it back.
        """
        self.reason = self.reason or reason
        if self._held or _is_raised():
            return
        if self._taken:
            # What is raised within a callback of the garbage collector is lost; it is raised again then.
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        self.check()

    def check(self) -> None:
        """Raise what has been asked for.

        Raises:
            Stopped: a stop has been asked for.
        """
        if self.reason is not None:
            raise Stopped(f"stopped {self.reason}")

    def hold(self) -> None:
        """Keep what is asked for until `release`."""
        self._held = True

    def release(self) -> None:
        """End what `hold` began; `check` raises what was asked for meanwhile."""
        self._held = False


def _is_raised() -> bool:
    """Whether a `Stopped` is on its way out, so that what runs now cleans up."""
    error = sys.exception()
    while error is not None:
        if isinstance(error, Stopped):
            return True
        error = error.__context__
    return False


class Interruption:
    """Turns the first Ctrl-C into a request honoured between two steps, where a second one interrupts.

    A stop request is held back too. What has been asked for is raised at the end, at the latest.

    Args:
        stop: of the run; None for Ctrl-C alone.
    """

    def __init__(self, stop: StopRequest | None = None) -> None:
        self._stop = StopRequest() if stop is None else stop
        self._interrupted = False

    def __enter__(self) -> Interruption:
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._handle)
        self._stop.hold()
        return self

    def _handle(self, *_: object) -> None:
        self._interrupted = True
        signal.signal(signal.SIGINT, self._before)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)
        self._stop.release()
        if kind is None:
            self.honour()

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C has been pressed."""
        return self._interrupted

    @property
    def limited(self) -> bool:
        """Whether there is a time limit, for which saves have to be measured."""
        return self._stop.limit is not None

    def requested(self, reserve: Reserve) -> bool:
        """Whether to save and end now: somebody asks for it, or the limit leaves no more than the reserve."""
        if self._stop.reason is None and self._stop.left < reserve.seconds:
            self._stop.ask("before its time limit is over")
        return self._interrupted or self._stop.reason is not None

    def follow(self, reason: str) -> None:
        """End as another process does, which was asked to."""
        self._stop.ask(reason)

    def honour(self) -> None:
        """Raise what was asked for.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            Stopped: the stop request.
        """
        if self._interrupted:
            raise KeyboardInterrupt
        self._stop.check()


class Reserve:
    """What a training keeps of its time limit: its longest block of steps and its longest save so far.

    The first block compiles the steps. Its time stands for that of a save as long as none has been measured, because
    the first save compiles the drawing of samples; afterwards only the later blocks count.
    """

    def __init__(self) -> None:
        self._first: float | None = None
        self._block = self._save = 0.0

    def block(self, seconds: float) -> None:
        """Note the time of a block of steps, from one line of the record to the next, without its save."""
        if self._first is None:
            self._first = seconds
        else:
            self._block = max(self._block, seconds)

    def save(self, seconds: float) -> None:
        """Note the time of a save, with the validation before it."""
        self._save = max(self._save, seconds)

    @property
    def seconds(self) -> float:
        """Seconds to keep; none before the first block is done, which is made in any case."""
        if self._first is None:
            return 0.0
        return _SAFETY * ((self._block or self._first) + (self._save or self._first)) + _ENDING
