"""Data sets: requested, made, certified, stored in the cache and opened again."""
