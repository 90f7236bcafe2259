"""A cluster that cannot start says which component, in that component's words, and leaves nothing half made."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from labsupport.errors import ClusterError
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.embedded import start_embedded_cluster
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.machines.namespaces import NamespacesMachine
from tests.clusters import archives, embedded_cluster, kubectl, machine_tools, tools
from tests.leaks import leak_checked_machine

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(600)]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[NamespacesMachine]:
    # Inside, /tmp is the machine's own: the scripts below have to be shown there.
    with leak_checked_machine(tools=machine_tools(), visible=[tmp_path]) as own:
        yield own


def tools_with(folder: Path, scripts: Mapping[str, str]) -> ClusterTools:
    """The usual programs, some of them replaced by a script; in one, `$REAL` is the program it stands for."""
    folder.mkdir()
    for program in tools().programs.iterdir():
        if program.name in scripts:
            (folder / program.name).write_text(f"#!/bin/sh\nREAL={program.resolve()}\n{scripts[program.name]}\n")
            (folder / program.name).chmod(0o755)
        else:
            (folder / program.name).symlink_to(program.resolve())
    return replace(tools(), programs=folder)


def refusal(machine: NamespacesMachine, given: ClusterTools) -> ClusterError:
    """Start a cluster that must fail; check that the machine is as it was; return the error."""
    before = running(machine)
    with pytest.raises(ClusterError) as refused:
        start_embedded_cluster(machine, given, archives=archives())
    wait_until(lambda: running(machine) == before, "all of it to have ended", within_seconds=30)
    assert not (machine.folder / "cluster").exists()
    assert list(machine.folder.glob("machines/*")) == []
    return refused.value


def running(machine: NamespacesMachine) -> list[str]:
    said = machine.runner.run(["sh", "-c", "cat /proc/[0-9]*/comm"]).stdout
    return sorted(name for name in said.split() if name not in {"sh", "cat"})


def test_a_taken_port(machine: NamespacesMachine) -> None:
    machine.start("squatter", ["python3", "-m", "http.server", "6443"])
    wait_until(lambda: "6443" in machine.runner.run(["ss", "-ltn"]).stdout, "the port to be taken", within_seconds=60)
    refused = refusal(machine, tools())
    assert "kube-apiserver ended" in refused.happened
    assert "address already in use" in refused.happened
    assert "end what listens there" in refused.do


def test_an_etcd_that_cannot_write(machine: NamespacesMachine, tmp_path: Path) -> None:
    elsewhere = 'exec "$REAL" "$@" --data-dir=/usr/etcd'
    refused = refusal(machine, tools_with(tmp_path / "bin", {"etcd": elsewhere}))
    assert "etcd ended" in refused.happened
    assert "read-only file system" in refused.happened
    assert refused.do == "make the run folder writable, then start again"


@pytest.mark.parametrize("program", ["kubelet", "kube-scheduler", "containerd"])
def test_a_component_that_dies_is_named_with_its_last_words(
    machine: NamespacesMachine, tmp_path: Path, program: str
) -> None:
    said = 'echo \'E1123 01:00:00.000000       7 run.go:72] "command failed" err="no luck today"\' >&2; exit 3'
    refused = refusal(machine, tools_with(tmp_path / "bin", {program: said}))
    assert f"{program}" in refused.happened
    assert "ended with exit code 3" in refused.happened
    assert 'run.go:72] "command failed" err="no luck today"' in refused.happened
    assert f"{program}.log" in refused.do


def test_a_second_cluster_on_one_machine_is_refused_and_the_first_goes_on() -> None:
    with embedded_cluster() as first:
        with pytest.raises(ClusterError, match="has one already"):
            start_embedded_cluster(first.machine, tools(), archives=archives())
        first.wait_ready()
        with embedded_cluster() as beside:
            assert beside.server != first.server
            for cluster in (first, beside):
                assert kubectl(cluster, "get nodes -o name") == "node/node-1"


def test_a_run_folder_too_deep_for_sockets(tmp_path: Path) -> None:
    root = tmp_path / ("deep" * 20)
    with leak_checked_machine(tools=machine_tools(), root=root) as machine:
        with pytest.raises(ClusterError, match="too long"):
            start_embedded_cluster(machine, tools())
        assert not (machine.folder / "cluster").exists()
