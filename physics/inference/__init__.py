"""Bayesian inverse problems through a solver: the problem, and samplers of its posterior that need no training.

A generator of posterior samples is held against these: a long run is the reference, short ones are the rivals.
"""
