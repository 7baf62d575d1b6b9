"""Scaling studies: how the time of an update changes with the number of devices, and what a fitted model predicts.

operations, work      floating-point operations of an update, counted from the configuration
programs, measuring   what one process measures on its devices, phase by phase
child, processes      every count of devices in processes of its own
records               what was measured, typed, to and from JSON
fit, goodput          the model of an update, its predictions, and the share of time in steps that count
pictures, page        the page and the table
"""
