"""Run folders, ``runs/NAME/STAMP/``: what they hold, how they are made, found and opened again."""

from experiments.runs.folder import FORMAT_VERSION, BusyError, RunFolder, create, open_folder
from experiments.runs.search import choosing, runs_of, same_runs

__all__ = ["FORMAT_VERSION", "BusyError", "RunFolder", "choosing", "create", "open_folder", "runs_of", "same_runs"]
