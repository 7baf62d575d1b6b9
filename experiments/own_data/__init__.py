"""A researcher's own fields: read from a file, described, split and prepared for a training. Knows no network."""
