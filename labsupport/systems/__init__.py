"""Machines, engines, clusters and their tools: everything that knows Docker, Kubernetes or this computer."""
