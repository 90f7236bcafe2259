"""Kubeconfig documents: who connects where, with everything inside, so that one private file is all a client needs."""

from base64 import b64encode

import yaml

from labsupport.systems.clusters.certificates import KeyPair


def kubeconfig(
    *, server: str, authority: bytes, pair: KeyPair, user: str, cluster: str = "lab", namespace: str = "default"
) -> str:
    """Write a kubeconfig with one cluster, one user and one context, all named after the lab."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"server": server, "certificate-authority-data": _base64(authority)}}
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _base64(pair.certificate),
                    "client-key-data": _base64(pair.key),
                },
            }
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user, "namespace": namespace}}],
        "current-context": cluster,
    }
    return yaml.safe_dump(document, sort_keys=False)


def with_namespace(text: str, namespace: str) -> str:
    """Return the same kubeconfig, its current context in another namespace."""
    document = yaml.safe_load(text)
    for context in document["contexts"]:
        if context["name"] == document["current-context"]:
            context["context"]["namespace"] = namespace
    return yaml.safe_dump(document, sort_keys=False)


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()
