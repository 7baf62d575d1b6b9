"""One file per equation."""
