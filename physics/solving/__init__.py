"""Advancing fields in time: fixed and adaptive steps, batches, adjoints by the memory there is."""
