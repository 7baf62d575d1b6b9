"""Exponential time-differencing Runge-Kutta solvers for semilinear systems, as diffrax solvers."""
