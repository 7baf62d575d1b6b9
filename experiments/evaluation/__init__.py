"""Generated samples held against a reference: distances, tests, scores, refinement, cost, and what they amount to.

``results``      what a comparison found, as typed records, and the codec of ``comparison.json``;
``distances``    how far two sets of fields are apart, beside floor and null band;
``two_sample``   tests with power: classifiers, neighbours, moments, and the joint test over all of them;
``scores``       numbers with a target: diversity, ensembles, modes.

Everything here takes arrays and functions and knows no task, no run and no training.
"""
