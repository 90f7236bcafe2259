"""A node that joins a cluster from a systemd machine: its kubelet and its runtime are told their cgroup drivers apart.

Its configuration lies where administrators look for it, and both programs are units: `systemctl restart kubelet`. Owns
the node's files and its end, which is the machine's; the node object goes with it.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from labsupport.errors import ClusterError, UsageError
from labsupport.process.commands import Invocation
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.components import advice, last_words
from labsupport.systems.clusters.image_files import ProgramImage
from labsupport.systems.clusters.images import PAUSE_IMAGE, import_archive
from labsupport.systems.clusters.lab_cluster import LabCluster
from labsupport.systems.clusters.network import cni_configuration
from labsupport.systems.clusters.node import (
    CONTAINERD_SOCKET,
    NodePrograms,
    containerd_configuration,
    kubelet_configuration,
)
from labsupport.systems.clusters.readiness import takes_pods
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.images import archives_of
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.systemd import SystemdMachine, start_systemd_machine
from labsupport.systems.machines.units import UnitService
from labsupport.systems.toolchain import Toolchain

Driver = Literal["systemd", "cgroupfs"]
CONTAINERD_FILE = "/etc/containerd/config.toml"
KUBELET_FILE = "/var/lib/kubelet/config.yaml"
KUBELET_LOG = "/var/log/kubelet.log"
NETWORK_FOLDER = "/etc/cni/net.d"
# Of the cluster's pod ranges, one that none of its own nodes has.
PODS_AT = 99
# Runtimes by their release: the group of tools that has it, and the version of its configuration.
OLD, TODAY = "1.6", "2"
READY_WITHIN_SECONDS = 120.0


@dataclass(frozen=True)
class Drivers:
    """What a node is set up with: containerd's release, the driver told to it, and the one told to kubelet."""

    containerd: str
    runtime: Driver
    kubelet: Driver

    def __post_init__(self) -> None:
        if self.containerd not in (OLD, TODAY):
            tried = f"start a node with containerd {self.containerd}"
            raise UsageError(tried, "there is none of that release here", f"one of: {OLD}, {TODAY}")


class JoinedNode(SystemdMachine):
    """A node of `cluster`, and the systemd machine that it is. Made by `start_joined_node`."""

    def __init__(self, machine: SystemdMachine, cluster: LabCluster, toolchain: Toolchain) -> None:
        super().__init__(machine)
        self.cluster = cluster
        self.files = self.folder / "node"
        self._toolchain = toolchain
        self._tools = ClusterTools.of(toolchain)

    def join(self, drivers: Drivers, images: Sequence[str]) -> None:
        """Write the configuration, start both programs, and return when the node has registered.

        Raises:
            ClusterError: one of them ended, with its own last words.
        """
        self.files.mkdir()
        programs = runtime_programs(self._toolchain, drivers.containerd)
        self._write_files(drivers, programs)
        environment = {"PATH": f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        runtime = self.start("containerd", [f"{programs}/containerd"], environment=environment)
        archives = self._image_archives(images)
        ctr = self._tools.path("ctr")
        self._wait(runtime, lambda: self.runner.run([str(ctr), "version"]).succeeded, "containerd to answer")
        kubelet = self.start("kubelet", self._kubelet(), environment=environment)
        self.runner.run(["ln", "-s", str(kubelet.log), KUBELET_LOG]).or_raise()
        for archive in archives:
            import_archive(self.runner, ctr, archive, socket=CONTAINERD_SOCKET)
        self.wait_registered(kubelet)

    def wait_registered(self, kubelet: UnitService) -> None:
        """Return when kubelet has made the node object.

        Raises:
            ClusterError: it ended instead, with its own last words.
        """
        self._wait(kubelet, lambda: self.node() is not None, f"{self.name} to register")

    def wait_ready(self, *, within_seconds: float = READY_WITHIN_SECONDS) -> None:
        """Return when the node takes pods."""
        wait_until(lambda: takes_pods(self.node() or {}), f"{self.name} to be Ready", within_seconds=within_seconds)

    def node(self) -> dict[str, Any] | None:
        """Return the node as the API has it; None before it has registered."""
        return self.cluster.door.find(f"/api/v1/nodes/{self.name}")

    def close(self) -> None:
        """End the machine with all that runs on it, then take its pods and the node off the cluster."""
        super().close()
        door = self.cluster.door
        pods = door.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{self.name}").get("items") or []
        for pod in (each["metadata"] for each in pods):
            # Nobody is left who could tell that it has ended.
            door.delete(f"/api/v1/namespaces/{pod['namespace']}/pods/{pod['name']}", {"gracePeriodSeconds": 0})
        door.delete(f"/api/v1/nodes/{self.name}")

    def _write_files(self, drivers: Drivers, programs: Path) -> None:
        kubelet = kubelet_configuration(self.files, self.cluster.plan) | {"cgroupDriver": drivers.kubelet}
        for signed_by_the_cluster in ("tlsCertFile", "tlsPrivateKeyFile"):
            del kubelet[signed_by_the_cluster]
        root = self.files / "containerd"
        self._put(CONTAINERD_FILE, runtime_configuration(drivers, root, NodePrograms(programs, self._tools.plugins)))
        self._put(KUBELET_FILE, yaml.safe_dump(kubelet))
        self._put(f"{NETWORK_FOLDER}/10-lab.conflist", cni_configuration(self.cluster.plan.pods_of(PODS_AT)))
        for name in ("kubeconfig", "ca.crt"):
            shutil.copyfile(self.cluster.kubeconfig.with_name(name), self.files / name)

    def _put(self, path: str, text: str) -> None:
        script = 'mkdir -p "$(dirname "$0")" && cat > "$0"'
        self.runner.run(["sh", "-c", script, path], invocation=Invocation(stdin=text)).or_raise()

    def _kubelet(self) -> list[str]:
        return [
            str(self._tools.path("kubelet")),
            f"--config={KUBELET_FILE}",
            f"--kubeconfig={self.files / 'kubeconfig'}",
            f"--root-dir={self.files / 'kubelet'}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
        ]

    def _image_archives(self, images: Sequence[str]) -> list[Path]:
        pause = ProgramImage(PAUSE_IMAGE, self._tools.path("pause")).write(self.files / "pause.tar")
        return [pause, *archives_of(self._toolchain, *images)]

    def _wait(self, service: UnitService, look: Callable[[], bool], what: str) -> None:
        def look_around() -> bool:
            if (code := service.exit_code) is not None:
                said = last_words(service.log)
                happened = f"{service.name} ended with exit code {code}. It said: {said}"
                raise ClusterError(f"wait for {what}", happened, advice(said, service.log))
            return look()

        wait_until(look_around, what, within_seconds=READY_WITHIN_SECONDS, every_seconds=0.05)


def start_joined_node(
    outer: Machine,
    cluster: LabCluster,
    toolchain: Toolchain,
    drivers: Drivers,
    *,
    name: str,
    images: Sequence[str] = (),
) -> JoinedNode:
    """Start a systemd machine on the switch of `outer`, and have it join `cluster` as the node `name`.

    It has registered when this returns; whether it turns Ready is another question.

    Args:
        images: of the lab's own, to have on it.

    Raises:
        ClusterError: a program of it ended; the message has its own last words. Nothing is left.
    """
    tools = [runtime_programs(toolchain, drivers.containerd)]
    node = JoinedNode(start_systemd_machine(outer, toolchain, name=name, tools=tools), cluster, toolchain)
    try:
        node.join(drivers, images)
    except BaseException:
        node.close()
        raise
    return node


def runtime_programs(toolchain: Toolchain, release: str) -> Path:
    """Return the folder with containerd, its shim, ctr and runc of a release."""
    return toolchain.bin_folder("old-engine") if release == OLD else toolchain.bin_folder("cluster")


def runtime_configuration(drivers: Drivers, root: Path, programs: NodePrograms) -> str:
    """Write containerd's configuration in the words of its release."""
    network = Path(NETWORK_FOLDER)
    if drivers.containerd == TODAY:
        text = containerd_configuration(root, programs, network)
        return text.replace("SystemdCgroup = false", f"SystemdCgroup = {_toml(drivers.runtime)}")
    return f"""\
version = 2
root = "{root}"
state = "/run/containerd"

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{programs.plugins}"
conf_dir = "{network}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{programs.folder / "runc"}"
SystemdCgroup = {_toml(drivers.runtime)}
"""


def _toml(driver: Driver) -> str:
    return "true" if driver == "systemd" else "false"
