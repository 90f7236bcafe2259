"""Kubeconfig documents: who connects where, with everything inside, so that one private file is all a client needs."""

from base64 import b64decode, b64encode

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


def with_files(text: str) -> tuple[str, dict[str, bytes]]:
    """Return the same kubeconfig with keys and certificates in files beside it, and these files, by name.

    The official client would write them into files anyway, and leave them in /tmp when it is killed.
    """
    document = yaml.safe_load(text)
    files: dict[str, bytes] = {}
    for kind in ("cluster", "user"):
        for entry in document[f"{kind}s"]:
            fields = entry[kind]
            for field in [each for each in fields if each.endswith("-data")]:
                name = f"{kind}-{field.removesuffix('-data')}.pem"
                files[name] = b64decode(fields.pop(field))
                fields[field.removesuffix("-data")] = name
    return yaml.safe_dump(document, sort_keys=False), files


def current_context(text: str) -> tuple[str, str]:
    """Return the name of a kubeconfig's current context and the address of its API server.

    Raises:
        ValueError: it has none.
    """
    try:
        document = yaml.safe_load(text)
        context = document["current-context"]
        cluster = next(each["context"]["cluster"] for each in document["contexts"] if each["name"] == context)
        server = next(each["cluster"]["server"] for each in document["clusters"] if each["name"] == cluster)
    except (yaml.YAMLError, KeyError, TypeError, StopIteration) as error:
        raise ValueError("it has no current context") from error
    return str(context), str(server)


def with_token(text: str, user: str, token: str) -> str:
    """Return the same kubeconfig for another user, who shows a token."""
    document = yaml.safe_load(text)
    document["users"] = [{"name": user, "user": {"token": token}}]
    for context in document["contexts"]:
        context["context"]["user"] = user
    return yaml.safe_dump(document, sort_keys=False)


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()
