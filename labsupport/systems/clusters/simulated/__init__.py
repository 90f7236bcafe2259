"""A cluster whose control plane is real and whose nodes are simulated: no root, no namespaces, no engine.

cluster   what it offers, and its end
startup   how it comes up, as programs of this computer
nodes     the simulated nodes, and what KWOK plays on them
volumes   the one folder outside the lab's own that its controllers write to
"""

from labsupport.systems.clusters.simulated.cluster import (
    KIND,
    SIMULATED,
    SimulatedCluster,
    attach_simulated_cluster,
    start_simulated_cluster,
)

__all__ = ["KIND", "SIMULATED", "SimulatedCluster", "attach_simulated_cluster", "start_simulated_cluster"]
