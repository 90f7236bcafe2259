"""Whose the programs and maps of the kernel are, worked out from what is pinned."""

import os

from labsupport.systems.clusters.objects import ResourceKind, is_made_by_cluster
from labsupport.systems.kernel_programs import MAP, PROGRAM, held_by, with_relatives


def test_a_pinned_map_brings_its_programs_and_their_other_maps() -> None:
    uses = {10: frozenset({1, 2}), 11: frozenset({3}), 12: frozenset()}
    assert with_relatives({(MAP, 1)}, uses) == {(MAP, 1), (MAP, 2), (PROGRAM, 10)}


def test_a_pinned_program_brings_its_maps_and_a_link_its_program_only() -> None:
    assert with_relatives({(PROGRAM, 11)}, {11: frozenset({3})}) == {(PROGRAM, 11), (MAP, 3)}
    assert with_relatives({(PROGRAM, 12)}, {}) == {(PROGRAM, 12)}


def test_what_this_computer_pins_for_itself_is_no_labs() -> None:
    assert held_by([os.getpid()]) == set()
    assert held_by([2**22 + 1]) == set()


def test_kinds_of_a_dataplane_and_their_objects_are_its_own_to_take_back() -> None:
    crds = ResourceKind("apiextensions.k8s.io", "customresourcedefinitions", "/apis/apiextensions.k8s.io/v1", False)
    node = ResourceKind("cilium.io", "ciliumnodes", "/apis/cilium.io/v2", False)
    assert is_made_by_cluster(crds, {"metadata": {"name": "x"}, "spec": {"group": "cilium.io"}})
    assert not is_made_by_cluster(crds, {"metadata": {"name": "x"}, "spec": {"group": "example.com"}})
    assert is_made_by_cluster(node, {"metadata": {"name": "node-1"}})
