"""Carrying fields forward in time: fixed and adaptive steps, lanes, adjoints by the memory there is."""
