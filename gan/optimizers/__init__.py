"""Game optimizers: ``init(players)`` and ``update(game, players, state, batch, key, axis_name)``."""
