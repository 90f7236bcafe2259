"""What notebook 05 needs beside its commands: readers of what pods were asked, the matrix, the widget, the exercise."""

from labsupport.lessons.cni.exercise import diagnosis
from labsupport.lessons.cni.explorer import path_explorer
from labsupport.lessons.cni.flows import flows_table, packets_dropped, read_flows
from labsupport.lessons.cni.matrix import Matrix, ask, matrix_table
from labsupport.lessons.cni.namespaces import changes_table, lines_changed
from labsupport.lessons.cni.path import BETWEEN, record_path
from labsupport.lessons.cni.products import findings_of, products_table, try_products
from labsupport.lessons.cni.programs import (
    backends,
    counts_table,
    interface_to,
    more,
    named,
    numbers,
    packets,
    shares,
    shares_table,
)
from labsupport.lessons.cni.states import condition, phases, refusals_table, with_ipam, with_previous
from labsupport.lessons.cni.whole import Findings, dataplanes_table, what_became_of
from labsupport.lessons.cni.wire import carried_by, goes_to, wire_figure

EXERCISES = {"diagnosis": diagnosis}

__all__ = [
    "BETWEEN",
    "EXERCISES",
    "Findings",
    "Matrix",
    "ask",
    "backends",
    "carried_by",
    "changes_table",
    "condition",
    "counts_table",
    "dataplanes_table",
    "diagnosis",
    "findings_of",
    "flows_table",
    "goes_to",
    "interface_to",
    "lines_changed",
    "matrix_table",
    "more",
    "named",
    "numbers",
    "packets",
    "packets_dropped",
    "path_explorer",
    "phases",
    "products_table",
    "read_flows",
    "record_path",
    "refusals_table",
    "shares",
    "shares_table",
    "try_products",
    "what_became_of",
    "wire_figure",
    "with_ipam",
    "with_previous",
]
