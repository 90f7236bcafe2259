"""Doors to the operating system: commands, waiting, progress, ownership. Knows nothing of engines or clusters."""
