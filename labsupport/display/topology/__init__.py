"""The networks of machines as a drawing and a table."""

from labsupport.display.topology.painting import topology_figure, topology_table

__all__ = ["topology_figure", "topology_table"]
