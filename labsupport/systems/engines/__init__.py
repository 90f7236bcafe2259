"""Engines: whatever speaks the Docker API. Starts, describes and ends them; knows nothing of experiments."""
