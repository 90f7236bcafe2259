"""A real cluster of kind on the lab's engine, offline: `kind create cluster`, kubeadm and all.

image           what nodes boot, and the images of the pods on them
configuration   what kind and kubeadm are told
startup         brings it up
nodes           a node as a machine
parts           its programs, each stoppable alone
dns             cluster DNS as a Deployment
cluster         what it offers
"""

from labsupport.systems.clusters.kind.cluster import KindCluster, attach_kind_cluster
from labsupport.systems.clusters.kind.startup import KindTools, have_node_image, start_kind_cluster

__all__ = ["KindCluster", "KindTools", "attach_kind_cluster", "have_node_image", "start_kind_cluster"]
