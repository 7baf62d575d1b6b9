"""Training: problem, step, loop, checkpoints and trained generators. Public names are those of ``gan`` itself."""
