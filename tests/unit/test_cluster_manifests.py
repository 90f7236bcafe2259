"""A refused manifest: which line is to blame. The messages are kubectl 1.37's own."""

from pathlib import Path

import pytest

from labsupport.errors import ClusterError
from labsupport.process.commands import Runner
from labsupport.systems.clusters import manifests
from labsupport.systems.clusters.cluster import ReachableCluster
from labsupport.systems.clusters.manifests import Spot
from tests.scripted import InTurn, ScriptedRunner

WEB = """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
    - port: 80
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: web
spec:
  replcas: -1
  template:
    metadata:
      labels: {app: other}
    spec:
      containers:
        - name: web
          imag: lab/agnhost
          ports:
            - containerPort: 99999
"""
UNKNOWN = (
    'Error from server (BadRequest): error when creating "web.yaml": StatefulSet in version "v1" cannot be handled as '
    'a StatefulSet: strict decoding error: unknown field "spec.replcas", unknown field '
    '"spec.template.spec.containers[0].imag"'
)
WRONG_TYPE = (
    'Error from server (BadRequest): error when creating "web.yaml": StatefulSet in version "v1" cannot be handled as '
    "a StatefulSet: json: cannot unmarshal string into Go struct field "
    "ContainerPort.spec.template.spec.containers.ports.containerPort of type int32"
)
INVALID = """\
The StatefulSet "web" is invalid:
* spec.template.metadata.labels: Invalid value: {"app":"other"}: `selector` does not match template `labels`
* spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive
"""


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        (UNKNOWN, [14, 21]),
        (WRONG_TYPE, [23]),
        (INVALID, [17, 23]),
        ('The Service "web" is invalid: spec.ports[0].port: Required value', [7]),
        ('The StatefulSet "web" is invalid: spec.serviceName: Required value', [13]),
        ('error: no matches for kind "Service" in version "v9"', [1]),
        ("Error from server (Forbidden): not allowed", []),
    ],
)
def test_the_line_to_blame(message: str, lines: list[int]) -> None:
    assert [spot.line for spot in manifests.locate(WEB, message)] == lines


def test_a_syntax_error_is_counted_from_the_start_of_the_file() -> None:
    broken = WEB + "---\nkind: Pod\n  metadata: {}\n"
    message = "error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context"
    assert manifests.locate(broken, message) == [Spot(26, "")]


def test_the_excerpt_points_at_each_line_once() -> None:
    shown = manifests.excerpt("a: 1\nb: 2\nc: 3\nd: 4\n", [Spot(3, "c"), Spot(3, "c.x")], "x.yaml")
    assert shown == "x.yaml, line 3:\n     1 | a: 1\n     2 | b: 2\n→    3 | c: 3\n     4 | d: 4"


def test_a_key_that_stands_twice() -> None:
    assert manifests.repeated_keys("data:\n  a: 1\n  b: 2\n  a: 3\n---\nspec: [{x: 1, x: 2}]\n") == [
        Spot(4, "a"),
        Spot(6, "x"),
    ]
    assert manifests.repeated_keys(WEB) == []


def test_tidy_drops_what_is_said_before() -> None:
    assert manifests.tidy(UNKNOWN).startswith('StatefulSet in version "v1" cannot be handled')


def cluster_with(runner: Runner) -> ReachableCluster:
    cluster = ReachableCluster.__new__(ReachableCluster)
    cluster.runner = runner
    return cluster


def test_one_object_is_applied_without_a_rehearsal(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n")
    runner = ScriptedRunner({"kubectl apply": (0, "pod/x created\n", "")})
    assert cluster_with(runner).apply(file).succeeded
    assert [argv for argv in runner.asked if "--dry-run=server" in argv] == []


def test_of_several_objects_none_is_made_when_one_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(WEB)
    runner = ScriptedRunner({"kubectl apply": (1, "service/web created (server dry run)\n", UNKNOWN)})
    with pytest.raises(ClusterError) as refused:
        cluster_with(runner).apply(file)
    assert len(runner.asked) == 1
    assert "→   14 |   replcas: -1" in refused.value.happened
    assert refused.value.do == f"correct line 14 of {file}"


def test_what_was_half_made_is_taken_back_where_only_making_it_tells(tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    file.write_text(
        "kind: Namespace\nmetadata: {name: mine}\n---\n"
        "kind: ConfigMap\nmetadata: {name: x, namespace: mine}\n---\n"
        "kind: ConfigMap\nmetadata: {name: Y, namespace: mine}\n"
    )
    missing = 'Error from server (NotFound): error when creating "both.yaml": namespaces "mine" not found'
    wrong = 'The ConfigMap "Y" is invalid: metadata.name: Invalid value: "Y": must be lower case'
    runner = ScriptedRunner(
        {
            "kubectl apply": InTurn([(1, "", missing), (1, "namespace/mine created\nconfigmap/x created\n", wrong)]),
            "kubectl delete": (0, "", ""),
        }
    )
    with pytest.raises(ClusterError) as refused:
        cluster_with(runner).apply(file)
    assert refused.value.do == f"correct line 8 of {file}"
    removed = [argv[2:5] for argv in runner.asked if argv[1] == "delete"]
    assert removed == [("namespace/mine", "--wait=false", "--ignore-not-found"), ("configmap/x", "--namespace", "mine")]


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", None])
def test_what_kubectl_never_sees(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "x.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ClusterError):
        cluster_with(ScriptedRunner({})).apply(file)
