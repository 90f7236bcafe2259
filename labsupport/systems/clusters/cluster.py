"""What every cluster offers, whoever runs it: commands, the Kubernetes API, manifests, trials' objects.

Backends add how a cluster starts and ends, and what of it can be stopped. Must not know which backend it is.
"""

import shlex
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from labsupport.errors import ClusterError
from labsupport.process.commands import CommandResult, LocalRunner, Runner
from labsupport.systems.clusters import manifests, objects
from labsupport.systems.clusters.door import ApiDoor
from labsupport.systems.clusters.kubeconfig import with_namespace

if TYPE_CHECKING:
    from kubernetes.client import ApiClient


class Cluster(Protocol):
    """A Kubernetes cluster of a lab."""

    kind: str
    server: str
    environment: dict[str, str]
    runner: Runner
    audit_log: Path | None

    @property
    def api(self) -> "ApiClient": ...

    @property
    def version(self) -> str: ...

    def apply(self, manifest: Path) -> CommandResult: ...

    def snapshot(self) -> objects.Snapshot: ...

    def remove_since(self, before: objects.Snapshot) -> objects.Removed: ...

    def close(self) -> None: ...


class ReachableCluster:
    """A cluster somebody can reach with a kubeconfig. `environment` is what commands, kernels and terminals need."""

    def __init__(self, kubeconfig: Path, door: ApiDoor, environment: Mapping[str, str]) -> None:
        self.kubeconfig = kubeconfig
        self.door = door
        self.server = door.server
        self.environment = dict(environment)
        self.runner: Runner = LocalRunner(self.environment)

    @cached_property
    def api(self) -> "ApiClient":
        """The official client's `ApiClient`, configured for this cluster and for nothing else."""
        from kubernetes import client, config

        configuration = client.Configuration()
        config.load_kube_config(str(self.kubeconfig), client_configuration=configuration)
        return client.ApiClient(configuration)

    @cached_property
    def version(self) -> str:
        """What the API server says it is, such as v1.37.2."""
        return str(self.door.get("/version")["gitVersion"])

    def use_namespace(self, name: str) -> None:
        """Make `name` the namespace that commands mean when they say none; make it if need be, ready for pods."""
        objects.have_namespace(self.door, name)
        # In place: the file may belong to the learner, and stays theirs.
        self.kubeconfig.write_text(with_namespace(self.kubeconfig.read_text(), name))

    def apply(self, manifest: Path) -> CommandResult:
        """Apply a manifest as `kubectl apply` does: all of it, or nothing.

        Raises:
            ClusterError: it was refused; the message shows the line to blame. What it had made is gone again.
        """
        command = ["kubectl", "apply", "--validate=strict", "-f", str(manifest)]
        if not manifest.is_file():
            raise ClusterError(shlex.join(command), "there is no such file", "name a file with one or more manifests")
        text = manifest.read_text()
        if repeated := manifests.repeated_keys(text):
            said = f"the key {repeated[0].field!r} stands twice in one place; kubectl would take the last one"
            raise _refusal(manifest, text, said, repeated)
        if manifests.count(text) > 1:
            rehearsal = self.runner.run([*command, "--dry-run=server"])
            if not rehearsal.succeeded and not manifests.only_misses_own_namespace(text, rehearsal.stderr):
                raise _refusal(manifest, text, rehearsal.stderr, manifests.locate(text, rehearsal.stderr))
        result = self.runner.run(command)
        if not result.succeeded:
            self._take_back(text, result.stdout)
            raise _refusal(manifest, text, result.stderr, manifests.locate(text, result.stderr))
        return result

    def snapshot(self) -> objects.Snapshot:
        """Remember what exists, so that `remove_since` can remove what comes after."""
        return objects.take_snapshot(self.door)

    def remove_since(self, before: objects.Snapshot) -> objects.Removed:
        """Remove whatever was made since `before`, without waiting for containers to end politely."""
        return objects.remove_since(self.door, before)

    def _take_back(self, text: str, said: str) -> None:
        for name in [line.split()[0] for line in said.splitlines() if line.endswith(" created")]:
            namespace = manifests.namespace_of(text, name)
            place = ["--namespace", namespace] if namespace else []
            self.runner.run(["kubectl", "delete", name, *place, "--wait=false", "--ignore-not-found"])


def _refusal(manifest: Path, text: str, said: str, spots: list[manifests.Spot]) -> ClusterError:
    shown = manifests.excerpt(text, spots, manifest.name)
    return ClusterError(
        f"kubectl apply --validate=strict -f {manifest}",
        "\n".join(part for part in (manifests.tidy(said), shown) if part),
        f"correct line {spots[0].line} of {manifest}" if spots else f"correct {manifest}",
    )
