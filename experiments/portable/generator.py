"""Draw samples of an exported generator; needs jax (with flatbuffers) and numpy, and nothing of solvergan.

python generator.py --count 1000 --seed 1 --out samples.npy

from generator import Generator
generator = Generator()                    # the folder of this file
fields = generator.sample(1000, seed=1)    # (1000, *shape), physical units; generator.about says what is what
"""

import argparse
import json
import sys
from pathlib import Path

import jax
import numpy as np
from jax import export

ATTEMPTS = 32


class Generator:
    """The program of a folder.

    Attributes:
        about: content of about.json: dimensions, coordinates, channels, units, conditions, where it comes from.
    """

    def __init__(self, folder: str | Path = Path(__file__).parent) -> None:
        folder = Path(folder)
        self.about = json.loads((folder / "about.json").read_text())
        self._program = jax.jit(export.deserialize(bytearray((folder / "program.stablehlo").read_bytes())).call)

    def sample(self, count: int, seed: int = 0, **condition: object) -> np.ndarray:
        """Return samples (count, *shape) in physical units; those that the solver refuses are drawn again.

        Args:
            count: how many.
            seed: of the random numbers; the first samples of a seed do not depend on the count.
            condition: by name, one for all samples or one for each, as about.json describes them.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, found {count}.")
        given = self._conditions(count, condition)
        fields, valid = self._draw(count, seed, 0, given)
        for attempt in range(1, ATTEMPTS):
            (missing,) = np.nonzero(~valid)
            if not len(missing):
                return fields
            part = {name: value[missing] for name, value in given.items()}
            fields[missing], valid[missing] = self._draw(len(missing), seed, attempt, part)
        raise ValueError(f"the solver refused {int((~valid).sum())} of {count} samples in {ATTEMPTS} attempts.")

    def _conditions(self, count: int, condition: dict[str, object]) -> dict[str, np.ndarray]:
        wanted = self.about["conditions"]
        if condition.keys() != wanted.keys():
            raise ValueError(f"the conditions are {sorted(wanted) or 'none'}, found {sorted(condition) or 'none'}.")
        arrays = {name: np.asarray(value, np.float32) for name, value in condition.items()}
        for name, array in arrays.items():
            one = tuple(wanted[name])
            if array.shape not in (one, (count, *one)):
                raise ValueError(f"{name} must have the shape {one}, or {(count, *one)}, found {array.shape}.")
            arrays[name] = np.broadcast_to(array, (count, *one))
        return arrays

    def _draw(self, count: int, seed: int, attempt: int, given: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        batch, parts = self.about["batch"], []
        for start in range(0, count, batch):
            index = np.minimum(np.arange(start, start + batch), count - 1).astype(np.int32)
            part = {name: value[index] for name, value in given.items()}
            made = self._program(np.uint32(seed), np.int32(attempt), index, part)
            parts.append([np.asarray(one)[: count - start] for one in made])
        fields, valid = (np.concatenate(one) for one in zip(*parts))
        return fields, valid


def main() -> None:
    """Write samples to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True, help="ends in .npy")
    given = parser.parse_args()
    if not given.out.endswith(".npy"):
        parser.error(f"--out {given.out} must end in .npy.")
    try:
        fields = Generator().sample(given.count, given.seed)
    except ValueError as error:
        parser.error(str(error))
    np.save(given.out, fields)
    sys.stdout.write(f"{given.out}: {fields.shape}\n")


if __name__ == "__main__":
    main()
