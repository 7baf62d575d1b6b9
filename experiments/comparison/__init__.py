"""The generator held against the solver: distances, scores, refinement, cost and the verdict in words.

Everything here takes arrays and functions and knows no experiment and no task; those are the callers.
"""
