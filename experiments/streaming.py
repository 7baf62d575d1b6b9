"""Samples of a run, stored part by part: memory does not grow with their number, and a stop loses one part."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from experiments.errors import UserError
from experiments.export import Fields, plain_attribute, writer_for
from experiments.files import write_json
from experiments.zarr_store import ZarrStore, rows_of

if TYPE_CHECKING:
    from experiments.run import Run

PART_BYTES = 2**26
"""Size of a part, uncompressed."""
JOURNAL, LOCK = "progress.json", "lock"
Report = Callable[[int, int, str], None]


def store_samples(
    run: Run, out: Path, count: int, *, seed: int = 0, refine: float = 0.0, report: Report = lambda *said: None
) -> tuple[str, ...]:
    """Draw samples into a zarr store, which has its name only once it is complete.

    Until then it grows in ``.NAME.partial`` beside it. The same call after a stop goes on with the part in which it was
    stopped, and ends with the same store. The first part is what ``run.sample`` draws with the key of the seed; every
    further part has a key of its own.

    Args:
        run: whose generator draws.
        out: ends in ``.zarr``; a store of that name is replaced at the end.
        count: samples in all.
        seed: of the latents.
        refine: solver time by which the samples are advanced.
        report: called with (done, total, what).

    Returns:
        Sizes with their names, as ("1000 sample", "64 x", "1 channel").

    Raises:
        UserError: the partial store is of other samples, or in use by another process.
    """
    import jax

    writer_for(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    wanted = {"run": str(run.path.resolve()), "count": count, "seed": seed, "refine": refine}
    with _held(partial, out):
        journal = _journal(partial, out, wanted)
        key, done = jax.random.key(seed), int(journal.get("done", 0))
        # One sample says how large all are; its key does not matter.
        like = run.sample(1, key=key, refine=refine)
        rows = rows_of(like)
        part = rows * max(1, PART_BYTES // max(1, rows * like.values[:1].nbytes))
        made = {"step": like.attrs.get("step"), "part": part}
        if done and made != {name: journal.get(name) for name in made}:
            raise UserError(
                f"--out {out}: {partial} holds samples of another checkpoint (step {journal.get('step')}); remove it "
                "to begin again."
            )
        store = ZarrStore(partial, like, count, rows)
        attributes = with_source(like, run, seed).attrs
        writing: list[Any] = []
        report(done, count, "samples")
        for first in range(done, count, part):
            number = first // part
            chosen = key if number == 0 else jax.random.fold_in(key, number)
            fields = run.sample(min(part, count - first), key=chosen, refine=refine)
            # While one part is drawn the one before is compressed and written.
            for future in writing:
                future.result()
            if first > done:
                write_json(partial / JOURNAL, {**wanted, **made, "done": first})
            writing = store.start(first, fields)
            report(first + len(fields), count, "samples")
        for future in writing:
            future.result()
        store.finish({name: plain_attribute(value) for name, value in attributes.items()})
        _take_place(partial, out)
    sizes = (count, *like.shape[1:])
    return tuple(f"{size} {name}" for name, size in zip(like.dims, sizes))


def _journal(partial: Path, out: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a partial store; nothing of one that is not there or has no whole part."""
    try:
        journal = dict(json.loads((partial / JOURNAL).read_text()))
    except FileNotFoundError:
        # Whatever lies there is part of a first part, perhaps of other arrays.
        for one in (found for found in partial.iterdir() if found.name != LOCK):
            shutil.rmtree(one) if one.is_dir() else one.unlink()
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"--out {out}: {partial} cannot be gone on with ({error}); remove it to begin again.") from None
    for name, value in wanted.items():
        if journal.get(name) != value:
            raise UserError(
                f"--out {out}: {partial} was begun with {name} {journal.get(name)}, not {value}; give the same "
                "settings to go on with it, or remove it to begin again."
            )
    return journal


@contextmanager
def _held(partial: Path, out: Path) -> Iterator[None]:
    """Lock the folder of the partial store as long as one process fills it; an empty one is removed."""
    partial.mkdir(exist_ok=True)
    lock = FileLock(partial / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"--out {out}: another process writes {partial}; choose another name.") from None
    try:
        yield
    finally:
        lock.release()
        (partial / LOCK).unlink(missing_ok=True)
        with suppress(OSError):
            partial.rmdir()


def _take_place(partial: Path, out: Path) -> None:
    """Give the complete store its name; what had it before is removed."""
    replaced = out.with_name(f".{out.name}.replaced")
    # Of a call that was stopped at this very place.
    shutil.rmtree(replaced, ignore_errors=True)
    if out.exists():
        out.rename(replaced)
    partial.rename(out)
    for name in (JOURNAL, LOCK):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(replaced, ignore_errors=True)


def with_source(fields: Fields, run: Run, seed: int) -> Fields:
    """Return fields whose attributes say where they come from."""
    source = {"experiment": run.folder.experiment, "run": str(run.path), "seed": seed}
    return replace(fields, attrs={**fields.attrs, **source})
