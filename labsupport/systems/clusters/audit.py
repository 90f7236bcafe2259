"""What the API server writes into its audit log: every write with the object it left, and nobody's secrets.

The timeline reads this log, so the rules leave out only what would drown it: reads, leases, and the token reviews by
which components check each other.
"""

import yaml


def audit_policy() -> str:
    """Write the audit policy."""
    nothing = {"level": "None"}
    rules: list[dict[str, object]] = [
        {**nothing, "verbs": ["get", "list", "watch"]},
        {**nothing, "resources": [_group("coordination.k8s.io", "leases")]},
        {**nothing, "resources": [_group("authentication.k8s.io"), _group("authorization.k8s.io")]},
        {"level": "Metadata", "resources": [_group("", "secrets", "serviceaccounts/token")]},
        {"level": "RequestResponse"},
    ]
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": rules,
    }
    return yaml.safe_dump(policy, sort_keys=False)


def _group(group: str, *resources: str) -> dict[str, object]:
    return {"group": group, **({"resources": list(resources)} if resources else {})}
