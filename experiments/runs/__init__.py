"""Run folders, ``runs/NAME/STAMP/``: what they hold, how they are made and opened again."""

from experiments.runs.folder import FORMAT_VERSION, RunFolder, create, open_folder

__all__ = ["FORMAT_VERSION", "RunFolder", "create", "open_folder"]
