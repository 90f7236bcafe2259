"""What is said of a kernel, from what it says of itself; and the form of every answer."""

import gzip
import os
import shutil
from pathlib import Path

import pytest

from labsupport import keeping
from labsupport.backends import LabOptions, plan
from labsupport.process.ownership import GUEST_VARIABLE
from labsupport.systems import capabilities
from labsupport.systems.clusters.certificates import KeyPair
from labsupport.systems.clusters.kubeconfig import kubeconfig
from labsupport.systems.kernel_features import FEATURES, Feature, KernelFeatures
from labsupport.systems.machines.own_engine import own_kubeconfigs
from labsupport.systems.toolchain.catalogue import read_catalogue
from labsupport.systems.toolchain.store import cache_folder
from tests.scripted import Reply, ScriptedRunner

RELEASE = "6.1.0-test"
VXLAN = next(feature for feature in FEATURES if feature.name == "vxlan")
NO_SIMULATION = capabilities.Capability("simulated nodes", False, "not here", "get them")
OVERLAY = next(feature for feature in FEATURES if feature.name == "overlay file system")


def kernel(root: Path, runner: ScriptedRunner | None = None) -> KernelFeatures:
    return KernelFeatures(runner or ScriptedRunner({}), root, RELEASE)


def configured(root: Path, text: str) -> None:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/config.gz").write_bytes(gzip.compress(text.encode()))


def with_modules(root: Path, text: str) -> None:
    folder = root / "lib/modules" / RELEASE
    folder.mkdir(parents=True)
    (folder / "modules.dep").write_text(text)


def test_built_in(tmp_path: Path) -> None:
    configured(tmp_path, "CONFIG_VXLAN=y\n")
    assert kernel(tmp_path).verdict(VXLAN).available


def test_a_module_that_can_be_loaded_counts(tmp_path: Path) -> None:
    configured(tmp_path, "CONFIG_VXLAN=m\n")
    with_modules(tmp_path, "kernel/drivers/net/vxlan/vxlan.ko.xz: kernel/net/ipv4/udp_tunnel.ko.xz\n")
    assert kernel(tmp_path).verdict(VXLAN).available


def test_a_module_that_is_not_here_does_not(tmp_path: Path) -> None:
    configured(tmp_path, "CONFIG_VXLAN=m\n")
    verdict = kernel(tmp_path).verdict(VXLAN)
    assert not verdict.available
    assert "as a module, vxlan, which is not here" in verdict.because


def test_not_built(tmp_path: Path) -> None:
    configured(tmp_path, "CONFIG_VETH=y\n# CONFIG_VXLAN is not set\n")
    verdict = kernel(tmp_path).verdict(VXLAN)
    assert not verdict.available
    assert "CONFIG_VXLAN" in verdict.because


def test_the_configuration_may_lie_in_boot(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / f"boot/config-{RELEASE}").write_text("CONFIG_VXLAN=y\n")
    assert kernel(tmp_path).verdict(VXLAN).available


def test_without_configuration_the_modules_tell(tmp_path: Path) -> None:
    with_modules(tmp_path, "kernel/drivers/md/dm-mod.ko:\n")
    assert kernel(tmp_path).verdict(Feature("device-mapper", "BLK_DEV_DM", "dm-mod", "")).available


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root tries devices")
def test_with_neither_devices_are_tried_in_a_namespace_of_their_own(tmp_path: Path) -> None:
    runner = ScriptedRunner({"unshare --net ip": Reply("2: try-vxlan: <BROADCAST>\n", exit_code=1)})
    tried = kernel(tmp_path, runner)
    assert tried.verdict(VXLAN).available
    assert not tried.verdict(Feature("ipvlan", "IPVLAN", "ipvlan", "", "ipvlan")).available
    assert len(runner.asked) == 1


def test_with_neither_file_systems_are_looked_up(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/filesystems").write_text("nodev\tproc\nnodev\toverlay\n")
    assert kernel(tmp_path).verdict(OVERLAY).available


def test_every_no_says_why_and_what_to_do(tmp_path: Path) -> None:
    rows = list(capabilities.probe())
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert row.because, row
        assert row.available or row.change_it, row


def test_no_engine_at_a_socket_that_is_not_there(tmp_path: Path) -> None:
    row = capabilities.docker_engine(f"unix://{tmp_path}/docker.sock")
    assert not row.available
    assert "nothing answers" in row.because


def test_your_own_cluster_is_named_from_your_kubeconfig_and_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(file))
    assert "names no cluster: No such file" in capabilities.own_cluster().because
    file.write_text("contexts: []\n")
    assert "no current context" in capabilities.own_cluster().because
    pair = kubeconfig(server="https://192.0.2.1:6443", authority=b"", pair=KeyPair(b"", b""), user="u", cluster="mine")
    file.write_text(pair)
    found = capabilities.own_cluster()
    assert found.available
    assert "context mine at https://192.0.2.1:6443" in found.because


def test_a_kubeconfig_of_a_lab_is_not_yours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_RUN_ROOT", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/lab-3f9a2c/private/kubeconfig{os.pathsep}/mine")
    assert own_kubeconfigs() == [Path("/mine")]
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/lab-3f9a2c/private/kubeconfig")
    assert own_kubeconfigs() == [Path.home() / ".kube/config"]


def test_another_distribution_is_told_what_can_help_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for row in (capabilities.namespaces_machine(), capabilities.virtual_machine(), capabilities.kind_cluster()):
        assert not row.available
        assert "no Debian or Ubuntu" in row.because, row
        assert "sudo" not in row.change_it, row
    chosen = plan(LabOptions(), capabilities.namespaces_machine(), NO_SIMULATION)
    assert (chosen.machine, "no Debian or Ubuntu" in chosen.no_engine) == (None, True)


def test_a_guest_brings_its_own_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(GUEST_VARIABLE, "1")
    assert "no Debian" not in capabilities.namespaces_machine().because


def test_a_disk_without_room_for_the_builds_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "not" / "there"))
    free = shutil.disk_usage(tmp_path).free // 1_000_000
    little, much = (capabilities._disk_to_build(cache_folder(), wanted / 1000) for wanted in (2000, free + 90_000))
    assert little.available and not much.available
    assert "up to 2 GB while tools are built" in little.because and f"free at {tmp_path}" in little.because
    assert "LAB_CACHE" in much.change_it


@pytest.mark.needs("machine")
def test_what_the_first_lab_would_build_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path))
    builds = read_catalogue().builds.values()
    assert 10_000 < keeping.megabytes_to_build() <= sum(each.disk_megabytes for each in builds)
