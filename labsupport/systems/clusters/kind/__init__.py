"""A real cluster of kind on the lab's engine, offline: `kind create cluster`, kubeadm and all.

helper          what nodes on an engine of the user's have for a machine
image           what nodes boot, and the images of the pods on them
configuration   what kind and kubeadm are told
startup         brings it up
meanwhile       what the lab does beside kind, while that brings it up
nodes           a node as a machine
parts           its programs, each stoppable alone
dns             cluster DNS as a Deployment
cluster         what it offers
"""

from labsupport.systems.clusters.kind.cluster import KindCluster, attach_kind_cluster
from labsupport.systems.clusters.kind.helper import HelperPlan, attach_helper, start_helper
from labsupport.systems.clusters.kind.startup import KindTools, have_node_image, start_kind_cluster

__all__ = [
    "HelperPlan",
    "KindCluster",
    "KindTools",
    "attach_helper",
    "attach_kind_cluster",
    "have_node_image",
    "start_helper",
    "start_kind_cluster",
]
