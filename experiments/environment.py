"""The process environment that jax reads when it is imported: the one place where it is set.

Compiled programs are kept between runs (a small convolutional training step costs 3-10 s to compile and 0.1 s
to load). A value that the user has set stays.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import re
import sys
import warnings
from importlib.metadata import version
from pathlib import Path


def compilation_cache() -> Path:
    """Return where compiled programs are kept: ``solvergan/xla`` below ``$XDG_CACHE_HOME`` or
    ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "solvergan" / "xla"


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for the next allocation; nothing happens elsewhere.

    Every call of a compiled program allocates its temporary buffers, which glibc maps and unmaps each time: on a
    virtual machine the page faults took a fifth of a training step.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # malloc.h
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 2**26)


_python_format = warnings.formatwarning


XLA_FLAGS = {
    # XLA's YNN convolutions take 1.45 times as long as its others in two dimensions, and more memory.
    "xla_cpu_experimental_ynn_fusion_type": "-LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION",
}
"""What measures best on a CPU (docs/performance.md)."""
KNOWS_THEM = ("0.10.", "0.11.")
"""Versions of jaxlib that take such flags; one that does not know a flag ends the process."""


def xla_flags(said: str, jaxlib: str) -> str:
    """Return the user's flags for XLA and, for a version of jaxlib that takes them, ours that he has not set.

    What does not start with a dash names a file of flags, to which nothing can be added.
    """
    if not jaxlib.startswith(KNOWS_THEM) or (said.strip() and not said.lstrip().startswith("-")):
        return said
    ours = [f"--{name}={value}" for name, value in XLA_FLAGS.items() if name not in said]
    return " ".join(filter(None, (said, *ours)))


_DAMAGED = re.compile(r"Error reading persistent compilation cache entry for '([^']+)'")


def _forget(program: str) -> None:
    """Remove the compiled programs of this name from the cache.

    What a killed process had half written, jax finds damaged and compiles again, but never writes anew.
    """
    for entry in compilation_cache().glob(f"{glob.escape(program)}-*-cache"):
        with contextlib.suppress(OSError):
            entry.unlink()


def one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Write a warning of ours as one line without our source, and any other as Python does.

    A damaged entry of the cache of compiled programs is removed, and nothing is said of it.
    """
    if damaged := _DAMAGED.match(str(message)):
        _forget(damaged[1])
        return ""
    wings = [str(Path(__file__).parents[1] / wing) + os.sep for wing in ("physics", "gan", "experiments")]
    ours = category.__module__.partition(".")[0] in ("physics", "gan", "experiments") or filename.startswith(
        tuple(wings)
    )
    return f"warning: {message}\n" if ours else _python_format(message, category, filename, lineno, line)


def prepare() -> None:
    """Set what jax reads at import; where jax is already imported, its own settings are updated instead.

    XLA reads its flags when jax first looks for devices: where it has, they change nothing here.
    """
    keep_freed_memory()
    warnings.formatwarning = one_line
    settings = {
        "JAX_COMPILATION_CACHE_DIR": str(compilation_cache()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }
    fresh = {name: value for name, value in settings.items() if name not in os.environ}
    os.environ.update(fresh)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    os.environ["XLA_FLAGS"] = xla_flags(os.environ.get("XLA_FLAGS", ""), version("jaxlib"))
    if "jax" in sys.modules and fresh:
        import jax

        if not jax.config.values["jax_compilation_cache_dir"]:
            jax.config.update("jax_compilation_cache_dir", settings["JAX_COMPILATION_CACHE_DIR"])
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def split_cpu(devices: int) -> None:
    """Let the CPU appear as several devices, each of which takes its share of every batch.

    XLA spreads a small convolution badly over threads: a training step of the Kuramoto-Sivashinsky demo took 94 ms on
    one device of two threads and 75 ms on two. Nothing happens where the user has said how many there are, or where
    jax has already looked for its devices.
    """
    said = "JAX_NUM_CPU_DEVICES" in os.environ or "host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if devices == 1 or said:
        return
    import jax

    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", devices)
