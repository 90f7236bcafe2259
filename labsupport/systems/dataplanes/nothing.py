"""No dataplane at all: what a cluster is before somebody chooses one."""

from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.dataplanes.dataplane import Fabric

NOTHING = "none"


class Nothing:
    """No CNI configuration: nodes stay NotReady, and say why."""

    name = NOTHING

    def configuration(self, node: NodeOnMachine) -> str:
        return ""

    def connect(self, fabric: Fabric) -> None:
        pass

    def daemons(self, fabric: Fabric, node: NodeOnMachine) -> list[Component]:
        return []

    def is_up(self, node: NodeOnMachine) -> bool:
        return True

    def disconnect(self, fabric: Fabric) -> None:
        pass
