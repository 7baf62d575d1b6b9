"""Sweeps: many runs of one experiment, one for each point of a grid of settings, and one page that compares them."""
