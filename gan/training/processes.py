"""Several processes that train together, each with devices of its own, on one host or on many.

`join` brings them together: `jax.distributed` for the devices, and beside it one connection of every process to the
first, over which small values are shared and the loss of a process is noticed. A process that ends without having left,
or is silent for too long, takes all others with it: a mean over devices would wait for it, in some libraries for ever.
They end with one sentence and the exit code `EXIT_LOST`; the last checkpoint is whole, and the training can go on.

With one process everything here does nothing.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

EXIT_LOST = 3
"""Exit code where another process of the training was lost."""
SILENCE = 60.0
"""Seconds without a sign of life after which a process counts as lost. One that ends is noticed at once."""
_BEAT = 5.0
"""Seconds between two signs of life."""
_MEET = 300.0
"""Seconds in which all processes must have come."""


class LostError(RuntimeError):
    """Another process of the training has ended or is silent."""


def _say_and_end(sentence: str) -> NoReturn:
    """End this process at once: whatever it waits for will not come."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
    os._exit(EXIT_LOST)


class _Line:
    """One connection: messages of one line of JSON each, and the thread that reads them."""

    def __init__(self, connection: socket.socket, lost: Callable[[str], None]):
        self._connection, self._lost = connection, lost
        self._sending = threading.Lock()
        self.values: queue.Queue[Any] = queue.Queue()
        self.number = -1
        self.left = threading.Event()
        connection.settimeout(SILENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = connection.makefile("rb")

    def send(self, kind: str, value: Any = None) -> None:
        """Send a message; that the other side is gone is noticed where it is read from."""
        text = json.dumps({"kind": kind, "value": value}).encode() + b"\n"
        try:
            with self._sending:
                self._connection.sendall(text)
        except OSError:
            return

    def message(self) -> dict[str, Any]:
        """Wait for the next message.

        Raises:
            OSError: the other side is gone or silent.
        """
        text = self._file.readline()
        if not text.endswith(b"\n"):
            raise ConnectionResetError("the connection has ended")
        found: dict[str, Any] = json.loads(text)
        return found

    def read(self) -> None:
        """Read until the other side leaves."""
        why = "is lost"
        try:
            while True:
                found = self.message()
                if found["kind"] == "value":
                    self.values.put(found["value"])
                elif found["kind"] == "lost":
                    self._lost(str(found["value"]))
                elif found["kind"] == "leave":
                    self.left.set()
                    return
        except TimeoutError:
            why = f"has been silent for {SILENCE:g} s"
        except (OSError, ValueError):
            why = "has ended"
        finally:
            self._file.close()
        self._lost(f"process {self.number} {why}")

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class Together:
    """The connections between the processes of a training: every process has one to the first.

    Args:
        process: number of this one.
        processes: how many there are.
        listening: of the first process, on which the others come in; None for these.
        address: of the first process.
        end: called with a sentence where a process is lost; it does not return.
    """

    def __init__(
        self,
        process: int,
        processes: int,
        listening: socket.socket | None,
        address: tuple[str, int],
        end: Callable[[str], Any] = _say_and_end,
    ):
        self.process, self.processes, self._end = process, processes, end
        self.remedy = ""
        self._leaving = False
        self._ended = threading.Lock()
        if listening is not None:
            self._lines = self._received(listening)
        else:
            self._lines = [_Line(_connected(address), self._lost)]
            self._lines[0].number = 0
            self._lines[0].send("hello", process)
        for line in self._lines:
            threading.Thread(target=line.read, daemon=True).start()
        self._stopped = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def _received(self, listening: socket.socket) -> list[_Line]:
        listening.settimeout(_MEET)
        lines: list[_Line] = []
        with listening:
            while len(lines) < self.processes - 1:
                line = _Line(listening.accept()[0], self._lost)
                line.number = int(line.message()["value"])
                lines.append(line)
        return sorted(lines, key=lambda one: one.number)

    def _beat(self) -> None:
        while not self._stopped.wait(_BEAT):
            for line in self._lines:
                line.send("beat")

    def _lost(self, who: str) -> None:
        """Tell the others, and end."""
        with self._ended:
            if self._leaving:
                return
            for line in self._lines:
                line.send("lost", who)
            rest = f"; {self.remedy}" if self.remedy else ""
            self._end(
                f"{who}, so that process {self.process} of {self.processes} ends too: they train together. What was "
                f"checkpointed is kept{rest}"
            )

    def share(self, value: Any) -> Any:
        """Return the first process's value on all of them; those that come early wait. JSON has to know it."""
        if self.process == 0:
            for line in self._lines:
                line.send("value", value)
            return json.loads(json.dumps(value))
        return self._lines[0].values.get()

    def gather(self, value: Any) -> list[Any] | None:
        """Return the values of all processes on the first one, and None elsewhere."""
        if self.process == 0:
            return [value, *(line.values.get() for line in self._lines)]
        self._lines[0].send("value", value)
        return None

    def leave(self) -> None:
        """End the connections; a process that ends afterwards is not missed."""
        self.share(None)
        for line in self._lines:
            line.send("leave")
        for line in self._lines:
            line.left.wait(SILENCE)
        with self._ended:
            self._leaving = True
        self._stopped.set()
        for line in self._lines:
            line.close()


def _connected(address: tuple[str, int]) -> socket.socket:
    deadline = time.monotonic() + _MEET
    while True:
        try:
            return socket.create_connection(address, timeout=SILENCE)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


_together: Together | None = None


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Join the other processes of a training, before any use of a device.

    Args:
        coordinator: address at which they meet, ``HOST:PORT`` of the first of them; the cluster's environment says it
            where it is left out.
        processes: how many there are; likewise.
        process: number of this one, from 0 on; likewise.

    Raises:
        ValueError: they cannot meet, or the environment does not say how.
    """
    global _together
    import jax

    # It would take SIGTERM for itself, which ends a training in order (`gan.training.stopping`).
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            initialization_timeout=int(_MEET),
            heartbeat_timeout_seconds=int(2 * SILENCE),
        )
    except (ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
        raise ValueError(
            f"The processes of this training cannot meet ({said}): give --coordinator HOST:PORT of process 0, "
            "--num-processes and --process-id, or --coordinator auto within a job of Slurm, Kubernetes or a TPU pod."
        ) from None
    if jax.process_count() == 1:
        return
    # Its public interface does not tell where the processes have met.
    from jax._src import distributed

    state: Any = distributed.global_state
    key, own = "solvergan/first", jax.process_index()
    listening = None
    if own == 0:
        listening = socket.create_server(("", 0))
        host = str(state.coordinator_address).rpartition(":")[0]
        state.client.key_value_set(key, f"{host}:{listening.getsockname()[1]}")
    host, _, port = state.client.blocking_key_value_get(key, int(1000 * _MEET)).rpartition(":")
    _together = Together(own, jax.process_count(), listening, (host.strip("[]"), int(port)))


def joined() -> bool:
    """Whether this process trains with others."""
    return _together is not None


def together() -> Together | None:
    """The connections to the other processes of the training; None where there are none, or no longer."""
    return _together


def is_first() -> bool:
    """Whether this process writes what is written once: records, reports, messages."""
    return _together is None or _together.process == 0


def share(value: Any = None) -> Any:
    """Return the first process's value on all of them; those that come early wait. JSON has to know it."""
    return value if _together is None else _together.share(value)


def any_of(value: bool) -> bool:
    """Return whether a value is true on any process."""
    if _together is None:
        return value
    found = _together.gather(value)
    return bool(_together.share(None if found is None else any(found)))


def tell(remedy: str) -> None:
    """Say how the training goes on after a loss, as the end of a sentence."""
    if _together is not None:
        _together.remedy = remedy


def part() -> None:
    """Part with the other processes, all of which do so at the same place: the end of one is then no loss."""
    global _together
    if _together is not None:
        _together.leave()
        _together = None


def leave() -> None:
    """Part with the other processes, and leave the common devices, once the training is done."""
    if _together is not None:
        import jax

        part()
        jax.distributed.shutdown()


def fail(code: int) -> None:
    """End this process at once after an error that it has told, so that the others notice; nothing with one process.

    An orderly end would wait for the others.
    """
    if _together is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def await_loss(seconds: float = 2 * _BEAT) -> None:
    """Give the connection time to say which process is lost, where an operation of several has failed."""
    if _together is not None:
        time.sleep(seconds)
