"""A node joins from a systemd machine, breaks in its own words, and is gone from the cluster when its machine is."""

from collections.abc import Iterator

import pytest

from labsupport.errors import ClusterError
from labsupport.process.commands import Invocation
from labsupport.systems.clusters.embedded import EmbeddedCluster
from labsupport.systems.clusters.joined import KUBELET_FILE, Drivers, start_joined_node
from tests.clusters import embedded_cluster, kubectl, seen
from tests.engines import toolchain

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(600)]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: there}
spec:
  nodeName: guest
  containers:
  - {name: sleeper, image: lab/toolbox, imagePullPolicy: Never, command: [sleep, "1000"]}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    with embedded_cluster(visible=[toolchain().cache]) as started:
        yield started


def test_a_node_joins_runs_pods_and_leaves(cluster: EmbeddedCluster) -> None:
    drivers = Drivers("2", "systemd", "systemd")
    node = start_joined_node(cluster.machine, cluster, toolchain(), drivers, name="guest", images=("lab/toolbox",))
    node.wait_ready()
    applied = cluster.runner.run(["kubectl", "apply", "-f", "-"], invocation=Invocation(stdin=POD))
    applied.or_raise()
    seen(cluster, "pod there", lambda pod: pod["status"]["phase"] == "Running")
    node.close()
    assert kubectl(cluster, "get nodes --output=name") == "node/node-1"
    assert kubectl(cluster, "get pods --output=name") == ""
    assert not node.folder.exists()


def test_a_kubelet_that_ends_says_why(cluster: EmbeddedCluster) -> None:
    node = start_joined_node(cluster.machine, cluster, toolchain(), Drivers("2", "systemd", "systemd"), name="guest")
    try:
        node.runner.run(["sh", "-c", f"echo 'cgroupDriver: unified' > {KUBELET_FILE}"]).or_raise()
        node.runner.run(["systemctl", "restart", "kubelet"]).or_raise()
        cluster.door.delete("/api/v1/nodes/guest")
        with pytest.raises(ClusterError, match="kubelet ended with exit code 1"):
            node.wait_registered(node.service("kubelet"))
    finally:
        node.close()
