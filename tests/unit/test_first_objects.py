"""Which objects of a cluster are every cluster's, and how they are asked of etcd."""

from pathlib import Path

from labsupport.systems.clusters.first_objects import FirstObjects, own_objects, transaction

OWN = {
    b"/registry/clusterroles/view": b"k8s\0 kubernetes.io/bootstrapping rbac-defaults",
    b"/registry/rolebindings/kube-system/system:controller:bootstrap-signer": b"k8s\0 rbac-defaults",
    b"/registry/flowschemas/exempt": b"k8s\0 apf.kubernetes.io/autoupdate-spec true",
}
OTHERS = {
    b"/registry/clusterroles/system:coredns": b"k8s\0 made by the lab",
    b"/registry/clusterroles-of-somebody/view": b"rbac-defaults",
    b"/registry/configmaps/kube-system/extension-apiserver-authentication": b"-----BEGIN CERTIFICATE-----",
    b"/registry/masterleases/10.0.0.1": b"k8s\0",
    b"/registry/namespaces/default": b"k8s\0 rbac-defaults",
}


def test_only_what_every_api_server_makes_is_kept() -> None:
    assert own_objects({**OWN, **OTHERS}) == OWN


def test_what_is_there_already_is_not_replaced() -> None:
    asked = transaction([["a2V5", "dmFsdWU="]])
    assert asked["compare"] == [{"key": "a2V5", "target": "CREATE", "result": "EQUAL", "create_revision": "0"}]
    assert asked["success"] == [{"request_put": {"key": "a2V5", "value": "dmFsdWU="}}]


def test_another_build_of_the_api_server_has_others(tmp_path: Path) -> None:
    builds = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        builds.append(tmp_path / name / "kube-apiserver")
        builds[-1].write_text("same size")
    first, second = (FirstObjects(tmp_path, build) for build in builds)
    assert first.file != second.file
    assert first.file == FirstObjects(tmp_path, builds[0]).file


def test_a_damaged_file_makes_way(tmp_path: Path) -> None:
    (tmp_path / "kube-apiserver").touch()
    objects = FirstObjects(tmp_path, tmp_path / "kube-apiserver")
    objects.file.write_text("[[")
    assert objects.put(tmp_path / "nobody.sock", watched=True)
    assert not objects.are_kept


def test_an_etcd_that_does_not_answer_yet_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "kube-apiserver").touch()
    objects = FirstObjects(tmp_path, tmp_path / "kube-apiserver")
    objects.file.write_text('[["a2V5", "dmFsdWU="]]')
    assert not objects.put(tmp_path / "nobody.sock", watched=True)
    assert objects.are_kept
