"""Clusters speak the Kubernetes API. Knows machines and the toolchain; nothing of trials, notebooks or what a person sees."""
