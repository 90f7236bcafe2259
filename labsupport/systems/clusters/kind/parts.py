"""The programs of a kind cluster, each stoppable and startable alone, as an administrator of its nodes would do it.

A static pod stops when kubelet no longer finds its manifest; etcd, kubelet and containerd are units of the node's
systemd; cluster DNS is a Deployment, which can be scaled to nothing.
"""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from labsupport.errors import WaitExpired
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.door import ApiDoor
from labsupport.systems.clusters.kind import dns
from labsupport.systems.clusters.kind.nodes import KindNode

MANIFESTS, TAKEN_AWAY = "/etc/kubernetes/manifests", "/etc/kubernetes/taken-away"
STATIC_PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
ETCD, UNITS = "etcd", ("containerd", "kubelet")
COREDNS = "coredns"
STARTS_WITHIN_SECONDS = 60.0
# Lines of a container's log: time, stream, whether the line is whole, and what was said.
WORDS_BEFORE_LOG_LINES = 3


class _InPods:
    """A program in pods of the cluster, found on nodes by how its command line begins: a regular expression.

    No program of a learner's pod begins so.
    """

    def __init__(self, name: str, nodes: Sequence[KindNode], command: str) -> None:
        self.name = name
        self._nodes = nodes
        self._command = command

    def freeze(self) -> None:
        """Have it stand still: it holds its connections and answers nobody."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on; not frozen is fine."""
        self._signal(signal.SIGCONT)

    def is_running(self) -> bool:
        find = ["pgrep", "--full", "--", self._command]
        return any(node.runner.run(find).stdout.strip() for node in self._nodes)

    def said(self) -> str:
        """Return its log, also that of containers of it that have ended."""
        return "".join(_log_of_pods(node, f"kube-system_{self.name}-*") for node in self._nodes)

    def _signal(self, number: int) -> None:
        for node in self._nodes:
            node.runner.run(["pkill", f"-{int(number)}", "--full", "--", self._command])


class StaticPod(_InPods):
    """A pod of the control plane, which kubelet of the first node keeps running by its manifest."""

    def __init__(self, name: str, node: KindNode) -> None:
        super().__init__(name, [node], f"^{name} --")
        self._node = node

    def start(self) -> None:
        """Start it; already running is fine.

        Raises:
            WaitExpired: kubelet did not start it in time.
        """
        script = f'[ -e {MANIFESTS}/"$0" ] || mv {TAKEN_AWAY}/"$0" {MANIFESTS}/"$0"'
        self._node.runner.run(["sh", "-c", script, f"{self.name}.yaml"]).or_raise()
        _wait(self.is_running, f"{self.name} to run")

    def stop(self, *, within_seconds: float = 5) -> None:
        """Have kubelet end it, and end what has not ended in time. Already ended is fine."""
        self._take_manifest_away()
        _end(within_seconds, self.is_running, lambda: self._signal(signal.SIGKILL), self.name)

    def kill(self) -> None:
        """End it at once, without asking; kubelet starts no other."""
        self._take_manifest_away()
        self._signal(signal.SIGKILL)

    def _take_manifest_away(self) -> None:
        script = f'mkdir -p {TAKEN_AWAY} && {{ [ ! -e {MANIFESTS}/"$0" ] || mv {MANIFESTS}/"$0" {TAKEN_AWAY}/"$0"; }}'
        self._node.runner.run(["sh", "-c", script, f"{self.name}.yaml"]).or_raise()


class NodeUnit:
    """A unit of a node's systemd, such as kubelet@node-1; `name` where there is only one in the cluster."""

    def __init__(self, program: str, node: KindNode, name: str = "") -> None:
        self.name = name or f"{program}@{node.name}"
        self._unit = f"{program}.service"
        self._node = node

    def start(self) -> None:
        self._control("start")

    def stop(self, *, within_seconds: float = 5) -> None:
        """End it, and what has not ended in time by force. Already ended is fine."""
        self._control("stop", "--no-block")
        _end(within_seconds, self.is_running, lambda: self._control("kill", "--signal=KILL"), self.name)

    def kill(self) -> None:
        self._control("kill", "--kill-whom=main", "--signal=KILL")
        self._control("stop")

    def freeze(self) -> None:
        self._control("kill", "--kill-whom=main", "--signal=STOP")

    def thaw(self) -> None:
        self._control("kill", "--kill-whom=main", "--signal=CONT")

    def is_running(self) -> bool:
        return self._node.runner.run(["systemctl", "is-active", "--quiet", self._unit]).succeeded

    def said(self) -> str:
        words = ["journalctl", f"--unit={self._unit}", "--output=cat", "--no-pager", "--quiet"]
        return self._node.runner.run(words).stdout

    def _control(self, *words: str) -> None:
        self._node.runner.run(["systemctl", *words, self._unit])


class DnsDeployment(_InPods):
    """Cluster DNS: its one pod is on whichever node the scheduler chose."""

    def __init__(self, door: ApiDoor, nodes: Sequence[KindNode], address: str) -> None:
        super().__init__(COREDNS, nodes, "^/coredns -conf")
        self._door = door
        self._address = address

    def start(self) -> None:
        """Have one pod, and return when it answers.

        Raises:
            WaitExpired: it did not come up in time.
        """
        self._scale(1)
        _wait(lambda: dns.answers(self._address), f"{self.name} to answer")

    def stop(self, *, within_seconds: float = 5) -> None:
        self._scale(0)
        _end(within_seconds, self.is_running, lambda: self._signal(signal.SIGKILL), self.name)

    def kill(self) -> None:
        self._scale(0)
        self._signal(signal.SIGKILL)

    def _scale(self, replicas: int) -> None:
        self._door.patch(dns.DEPLOYMENT, {"spec": {"replicas": replicas}})


def _log_of_pods(node: KindNode, pods: str) -> str:
    said = node.runner.run(["sh", "-c", f"cat {Path('/var/log/pods') / pods}/*/*.log"]).stdout
    lines = (line.split(" ", WORDS_BEFORE_LOG_LINES) for line in said.splitlines())
    return "".join(f"{words[-1]}\n" for words in lines if len(words) > WORDS_BEFORE_LOG_LINES)


def _wait(look: Callable[[], bool], what: str) -> None:
    wait_until(look, what, within_seconds=STARTS_WITHIN_SECONDS, every_seconds=0.05)


def _end(within_seconds: float, is_running: Callable[[], bool], force: Callable[[], None], name: str) -> None:
    """Wait for the end of what was asked to end; at the deadline use force."""
    try:
        wait_until(lambda: not is_running(), f"{name} to end", within_seconds=within_seconds)
    except WaitExpired:
        force()
        wait_until(lambda: not is_running(), f"the end of {name}", within_seconds=60)
