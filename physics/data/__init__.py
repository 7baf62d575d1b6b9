"""Data sets: what is asked for, made, certified, stored in the cache and opened again."""
