"""Clusters speak the Kubernetes API. Knows machines and the toolchain; nothing of trials or of what a person sees."""
