"""What a generator can be asked to learn: one module per task, each turning data into a problem and a comparison.

A task knows how its data become samples and conditions, what its comparison holds against what, and how a
user draws from it. It knows no particular system: an experiment hands it one.
"""
