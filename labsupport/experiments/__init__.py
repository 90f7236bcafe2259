"""Asks, records, judges. Knows no Docker and no Kubernetes: it sees a `Runner`, JSON values and a folder."""
