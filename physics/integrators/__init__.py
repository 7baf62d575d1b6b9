"""Exponential integrators for semilinear systems, as diffrax solvers."""
