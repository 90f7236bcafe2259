"""How a kind cluster comes up: what is written for `kind create cluster`, and what follows when it has ended.

kind and kubeadm do what they always do. The lab gives them a certificate authority, so that it knows the way in
beforehand, and nodes that have their images and their pod network from the start: both would otherwise be waited for.
"""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event

import yaml

from labsupport.errors import ClusterError
from labsupport.process.progress import Listener, Progress, silent
from labsupport.systems.clusters.audit import audit_policy
from labsupport.systems.clusters.certificates import Authority, Identity, write_private
from labsupport.systems.clusters.client_files import door_of, write_client_files
from labsupport.systems.clusters.control_plane import ADMINISTRATORS, POD_NETWORK
from labsupport.systems.clusters.first_objects import FirstObjects
from labsupport.systems.clusters.images import ImageSeeds
from labsupport.systems.clusters.kind.cluster import CONTROL_PLANE_FOLDER, KindCluster, delete, run_kind
from labsupport.systems.clusters.kind.configuration import (
    AUDIT_POLICY,
    AUTHORITY,
    ETCD_SOCKET,
    KIND_CONFIG,
    OBJECTS,
    OWN_KUBECONFIG,
    RECYCLER,
    KindPlan,
    kind_configuration,
)
from labsupport.systems.clusters.kind.dns import dns_in_a_pod
from labsupport.systems.clusters.kind.helper import ROOT, Helper
from labsupport.systems.clusters.kind.image import PLUGINS, PROGRAMS, NodeImage, ensure_node_image, image_of, pod_images
from labsupport.systems.clusters.kind.meanwhile import KUBELET_ACCESS, work_beside_kind
from labsupport.systems.clusters.kind.nodes import pid_of
from labsupport.systems.clusters.kubeconfig import kubeconfig
from labsupport.systems.clusters.node import Node, NodeIdentity, NodeOnMachine, NodePrograms
from labsupport.systems.clusters.startup import claim_folder
from labsupport.systems.clusters.storage import LOCAL_PATH, SHARED_VOLUMES, recycler_pod, standard_classes
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.dataplanes.dataplane import Dataplane
from labsupport.systems.dataplanes.named import dataplane_called
from labsupport.systems.dataplanes.plain import PLAIN
from labsupport.systems.engines.engine import Engine
from labsupport.systems.machines.machine import Machine
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.toolchain.store import Store

CREATED_WITHIN_SECONDS = 300.0
# kind mounts /lib/modules of the engine's computer into its nodes; where there is none, an empty one is laid over /lib.
HAVE_MODULES = """
set -eu
[ ! -e /lib/modules ] || exit 0
below=$(readlink -f /lib) layers=/run/layers/modules
mkdir -p $layers/upper/modules $layers/work
mount -t overlay overlay -o lowerdir="$below",upperdir=$layers/upper,workdir=$layers/work "$below"
"""


@dataclass(frozen=True)
class KindTools:
    """The programs of a cluster of kind: those of every cluster, and kind's own.

    Args:
        programs: folder with all that a node calls, and kind.
        store: the cache, which has the image of nodes and is shown to them.
    """

    cluster: ClusterTools
    programs: Path
    store: Store

    @classmethod
    def of(cls, toolchain: Toolchain) -> "KindTools":
        """Have the toolchain get what is missing, and say where it all is."""
        toolchain.ensure("kind")
        tools = ClusterTools.of(toolchain)
        told = (*tools.sources, *(vars(toolchain.provenance(name)) for name in ("kind", "kubeadm")))
        commands = toolchain.bin_folder("kubectl", "kind")
        return cls(replace(tools, commands=commands, sources=told), toolchain.bin_folder("kind"), toolchain.store)


def have_node_image(toolchain: Toolchain, listener: Listener = silent) -> NodeImage:
    """Have the image of nodes in the cache, and return it.

    Raises:
        RequirementMissing: this is not Debian or Ubuntu, or its packages cannot be had.
    """
    tools = KindTools.of(toolchain)
    return ensure_node_image(tools.store, tools.cluster.version("kube-apiserver"), listener)


def start_kind_cluster(
    machine: Machine,
    engine: Engine,
    tools: KindTools,
    *,
    nodes: int = 1,
    archives: Sequence[Path] = (),
    shown: Sequence[Path] = (),
    dataplane: str = PLAIN,
    listener: Listener = silent,
) -> KindCluster:
    """Have `kind create cluster` make a cluster on `engine`, which runs on `machine`; return it when pods can run.

    Args:
        archives: image archives (as `docker save` writes them) that the nodes have from the start.
        shown: folders of the machine that nodes see, read-only, at the same path; the toolchain's cache is one always.
        dataplane: how pods reach each other, by name; with "none" the nodes are there, and not ready.
        listener: told each phase as it is reached.

    Raises:
        UsageError: there is no such dataplane.
        ClusterError: kind failed; the message has its own words. Nothing is left.
        WaitExpired: it took longer than a few minutes. Nothing is left.
    """
    connected = dataplane_called(dataplane)
    folder = claim_folder(machine)
    started = time.monotonic()

    def tell(what: str) -> None:
        listener(Progress(f"{what} ({time.monotonic() - started:.1f} s)"))

    image = ensure_node_image(tools.store, tools.cluster.version("kube-apiserver"), listener)
    seeds = ImageSeeds(tools.cluster.seeds, tools.cluster.path("containerd"), tools.cluster.path("ctr"))
    plan = KindPlan(
        address=machine.address,
        folder=folder,
        size=nodes,
        programs=tools.programs,
        plugins=tools.cluster.plugins,
        images=seeds.ensure(machine, pod_images(tools.cluster, image), tuple(archives), listener),
        shown=(tools.store.root, *shown),
        unified=engine.client.info().get("CgroupVersion") == "2",
        machine_root=machine.folder / ROOT if isinstance(machine, Helper) else Path("/"),
        lab=machine.name if isinstance(machine, Helper) else "",
    )
    try:
        image.put_on(engine)
        tell("the engine has the image of the nodes")
        _write_files(machine, plan, connected)
        _create(machine, engine, tools.cluster, plan, image.name)
        tell("kind has made the cluster")
        cluster = KindCluster(machine, engine, tools.cluster, plan, connected)
        cluster.connect_pods()
        tell("pods can run")
    except BaseException:
        delete(machine, engine, plan)
        raise
    return cluster


def _write_files(machine: Machine, plan: KindPlan, dataplane: Dataplane) -> None:
    """Write all that kind, kubeadm and the nodes read, and what the caller needs."""
    authority, folder = Authority(), plan.folder
    write_client_files(folder, plan.server, authority)
    for name, content in zip(AUTHORITY, (authority.certificate, authority.pair.key), strict=True):
        write_private(folder / name, content)
    for user in (POD_NETWORK, LOCAL_PATH):
        pair = authority.issue(Identity(user, (ADMINISTRATORS,)))
        text = kubeconfig(server=plan.server_inside, authority=authority.certificate, pair=pair, user=user)
        write_private(folder / CONTROL_PLANE_FOLDER / f"{user}.kubeconfig", text)
    write_private(folder / AUDIT_POLICY, audit_policy())
    write_private(folder / RECYCLER, json.dumps(recycler_pod()))
    write_private(folder / OBJECTS, yaml.safe_dump_all(standard_classes(), sort_keys=False))
    write_private(folder / KIND_CONFIG, kind_configuration(plan))
    (folder / "volumes").mkdir()
    (folder / "volumes").chmod(0o777)
    machine.runner.run(["ln", "-sfn", str(folder / "volumes"), SHARED_VOLUMES]).or_raise()
    for position, name in enumerate(plan.names):
        (folder / name / "log").mkdir(parents=True)
        (folder / name / "cni").mkdir()
        identity = NodeIdentity(name, "", plan.network.pods_of(position))
        node = Node(folder / name, identity, NodePrograms(PROGRAMS, PLUGINS))
        # Of a node that is not there yet a dataplane knows the range of its pods.
        node.write_network(dataplane.configuration(NodeOnMachine(node, machine)))


def _create(machine: Machine, engine: Engine, tools: ClusterTools, plan: KindPlan, image: str) -> None:
    """Have kind make the cluster, and cluster DNS be asked for meanwhile."""
    # Into a node on an engine of the user's there is no way from here that is quick enough.
    first_objects = None if plan.lab else FirstObjects(tools.seeds, tools.path("kube-apiserver"))
    access = [KUBELET_ACCESS] if plan.size == 1 else []
    wanted = [*access, *dns_in_a_pod(plan.network, image_of("coredns", tools))]

    def etcd_socket() -> Path | None:
        pid = pid_of(machine.runner, engine, plan.containers[0])
        return Path(f"/proc/{pid}/root{ETCD_SOCKET}") if pid else None

    stop = Event()
    with closing(door_of(plan.folder, plan.server)) as door, ThreadPoolExecutor(max_workers=1) as pool:
        beside = partial(work_beside_kind, door, etcd_socket, first_objects, wanted)
        done = pool.submit(beside, stop=stop, within_seconds=CREATED_WITHIN_SECONDS)
        try:
            _run_create(machine, engine, plan, image)
        except BaseException:
            stop.set()
            raise
        done.result()


def _run_create(machine: Machine, engine: Engine, plan: KindPlan, image: str) -> None:
    if not plan.lab:  # a computer of the user's has its own
        machine.runner.run(["sh", "-c", HAVE_MODULES]).or_raise()
    words = [
        str(plan.kind),
        "create",
        "cluster",
        f"--config={plan.folder / KIND_CONFIG}",
        f"--image={image}",
        "--wait=0s",
    ]
    words += [f"--kubeconfig={plan.folder / OWN_KUBECONFIG}", "--quiet"]
    result = run_kind(machine, engine, words, within_seconds=CREATED_WITHIN_SECONDS)
    if not result.succeeded:
        do = "the last lines say what failed; a computer that is busy with other things may need another try"
        raise ClusterError(result.command, result.stderr.strip()[-3000:], do)
