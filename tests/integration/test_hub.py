"""JupyterHub by deploy/jupyterhub on the lab's cluster: two learners, each with a namespace, a quota and a server."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import requests

from labsupport.process.waiting import wait_until
from labsupport.project import Project
from tests.clusters import embedded_cluster, seen
from tests.hubs import FOLDER, LEARNERS_PASSWORD, NAMESPACE, TEACHERS_PASSWORD, Hub, Visitor, build_image

pytestmark = [pytest.mark.needs("root", "hub"), pytest.mark.timeout(1800)]

LEARNERS = ["ana", "ben"]
OF_THE_HUB = ("--selector", "app.kubernetes.io/part-of=labs-hub")
FIRST_CELLS = 8
# More than the proxy's library has answered at a time, and longer than it waits for an answer, unless it is told.
WAITING, WAITING_SECONDS = 12, 22
# A dataplane that enforces network policies, on one node too.
ENFORCING = "bgp"
# Asked from within a pod, where no account of the cluster is.
ASK = """
import requests, warnings
warnings.simplefilter("ignore")
try:
    print("answered", requests.get({url!r}, verify=False, timeout=3).status_code)
except requests.ConnectionError:
    print("no answer")
"""


@dataclass(frozen=True)
class Course:
    """A deployed hub, and its people."""

    hub: Hub
    url: str
    ana: Visitor
    ben: Visitor
    teacher: Visitor


@pytest.fixture(scope="module")
def hub(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    archive = build_image(folder)
    with embedded_cluster(dataplane=ENFORCING) as cluster:
        cluster.load_images(archive)
        archive.unlink()
        # Folders of the other class are root's alone, and of no use to who is not root.
        cluster.provide_local_path()
        deployed = Hub(cluster, shutil.copytree(project.root / FOLDER, folder / "deployed"))
        for name, default in (("standard", "false"), ("local-path", "true")):
            mark = f"storageclass.kubernetes.io/is-default-class={default}"
            deployed.kubectl("annotate", "--overwrite", "storageclass", name, mark).or_raise()
        deployed.apply(learners=LEARNERS)
        yield deployed


@pytest.fixture(scope="module")
def open_hub(hub: Hub) -> Hub:
    """The hub, once it is said how people sign in."""
    hub.let_in()
    hub.wait()
    return hub


@pytest.fixture
def course(open_hub: Hub, tmp_path: Path) -> Iterator[Course]:
    with open_hub.reached(tmp_path / "reached.log") as url:
        ana, ben = (Visitor(url, name, LEARNERS_PASSWORD) for name in LEARNERS)
        yield Course(open_hub, url, ana, ben, Visitor(url, "teacher", TEACHERS_PASSWORD))


def test_until_it_is_said_how_people_sign_in_there_is_no_hub(hub: Hub) -> None:
    def is_refused(pods: dict[str, Any]) -> bool:
        states = [each["state"] for pod in pods["items"] for each in pod["status"].get("containerStatuses", [])]
        messages = [state.get("waiting", {}).get("message", "") for state in states]
        return messages == ['secret "sign-in" not found']

    seen(hub.cluster, f"pods -n {NAMESPACE}", is_refused)


def test_only_who_is_listed_and_knows_the_password_comes_in(course: Course) -> None:
    assert [each.sign_in() for each in (course.ana, course.ben, course.teacher)] == [302, 302, 302]
    wrong = (("ana", "learners-stay-out"), ("eve", LEARNERS_PASSWORD), ("teacher", LEARNERS_PASSWORD))
    assert [Visitor(course.url, *each).sign_in() for each in wrong] == [403, 403, 403]


def test_the_cookie_of_who_signs_in_by_https_goes_by_https_alone(course: Course) -> None:
    course.ana.browser.headers["X-Forwarded-Proto"] = "https"
    for who, alone in ((course.ana, True), (course.ben, False)):
        assert who.sign_in() == 302
        assert {each.secure for each in who.browser.cookies if each.name == "jupyterhub-hub-login"} == {alone}


def test_each_learner_has_a_namespace_a_quota_and_a_server_with_the_notebooks(course: Course) -> None:
    for learner in (course.ana, course.ben):
        learner.have_server()
        names = {each["name"] for each in learner.mine("GET", "contents")["content"]}
        assert {"00-start-here.ipynb", "09-claims.ipynb", "assets"} <= names
        assert "JupyterLab" in learner.ask("GET", f"/user/{learner.name}/lab").text
        layout = learner.ask("GET", f"/user/{learner.name}/lab/api/workspaces/default").json()["data"]
        assert "notebook:00-start-here.ipynb" in layout
        quota = course.hub.of_learner(learner.name, "resourcequota")["status"]
        assert quota["hard"]["pods"] == quota["used"]["pods"] == "1"
        assert (quota["hard"]["limits.memory"], quota["used"]["limits.memory"]) == ("1Gi", str(1 << 30))
    pods = [course.hub.of_learner(name, "pod") for name in LEARNERS]
    assert [pod["metadata"]["namespace"] for pod in pods] == ["labs-ana", "labs-ben"]
    assert all(pod["spec"]["automountServiceAccountToken"] is False for pod in pods)
    may_take, is_kept = {"cpu": "1", "memory": str(1 << 30)}, {"cpu": "100m", "memory": str(256 << 20)}
    resources = [pod["spec"]["containers"][0]["resources"] for pod in pods]
    assert resources == [{"limits": may_take, "requests": is_kept}] * 2


def test_while_many_wait_for_a_server_everybody_else_goes_on(course: Course) -> None:
    [node] = course.hub.names("nodes")
    course.ana.have_server()
    course.ana.stop_server()
    course.hub.kubectl("cordon", node).or_raise()
    with ThreadPoolExecutor(WAITING) as waiting:
        try:
            assert course.ana.ask("POST", "/hub/api/users/ana/server").status_code == 202
            progress = ("GET", "/hub/api/users/ana/server/progress")
            told = [waiting.submit(course.ana.ask, *progress) for _ in range(WAITING)]
            began = monotonic()

            def others_went_on() -> bool:
                assert requests.get(f"{course.url}/hub/health", timeout=5).status_code == 200
                return monotonic() - began > WAITING_SECONDS

            wait_until(others_went_on, "those who wait to have waited", within_seconds=60, every_seconds=1)
        finally:
            course.hub.kubectl("uncordon", node).or_raise()
        assert all('"ready": true' in each.result().text for each in told)


def test_a_notebook_runs_there_on_recorded_evidence_and_says_so(course: Course) -> None:
    course.ana.have_server()
    notebook = course.ana.mine("GET", "contents/06-dockerfile-instructions.ipynb")["content"]
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    kernel = course.ana.kernel()
    said = [kernel.run(cell) for cell in cells[:FIRST_CELLS]]
    kernel.close()
    opened = next(text for cell, text in zip(cells, said, strict=False) if "open_lab(" in cell)
    assert "RECORDED, NOT LIVE" in opened and "no private machine can start here: it takes root" in opened
    ran = next(text for cell, text in zip(cells, said, strict=False) if "trial.run(" in cell)
    assert "RECORDED on " in ran


def test_a_learner_reaches_neither_the_server_nor_the_namespace_of_another(course: Course) -> None:
    for learner in (course.ana, course.ben):
        learner.have_server()
    assert course.ben.ask("GET", "/user/ben/api/contents").status_code == 200
    assert course.ana.ask("GET", "/user/ben/api/contents").status_code == 403
    for namespace in ("labs-ana", "labs-ben", NAMESPACE):
        account = "--as=system:serviceaccount:labs-ana:default"
        asked = ("auth", "can-i", "list", "pods", "--namespace", namespace, account)
        assert course.hub.kubectl(*asked).stdout.strip() == "no"
    kernel = course.ana.kernel()
    assert kernel.run("import os; print(os.path.exists('/var/run/secrets'))") == "False\n"
    kernel.close()


def test_a_server_reaches_the_hub_alone_and_without_the_policies_who_is_asked_refuses(course: Course) -> None:
    for learner in (course.ana, course.ben):
        learner.have_server()
    address = course.hub.of_learner("ben", "pod")["status"]["podIP"]
    bens = ASK.format(url=f"http://{address}:8888/user/ben/api/contents")
    clusters = ASK.format(url="https://kubernetes.default.svc/api/v1/namespaces/labs-ben/pods")
    kernel = course.ana.kernel()
    assert kernel.run(ASK.format(url=f"http://hub.{NAMESPACE}:8081/hub/api")) == "answered 200\n"
    assert kernel.run(clusters) == "no answer\n"
    course.hub.kubectl("delete", "networkpolicy", "bounds", "--namespace", "labs-ana").or_raise()
    refused = ("answered 401\n", "answered 403\n")
    wait_until(lambda: kernel.run(clusters) in refused, "the API server to refuse", within_seconds=60)
    assert kernel.run(bens) == "no answer\n"
    course.hub.kubectl("delete", "networkpolicy", "bounds", "--namespace", "labs-ben").or_raise()
    wait_until(lambda: kernel.run(bens) == "answered 403\n", "ben's server to refuse", within_seconds=60)
    kernel.close()


def test_the_quota_refuses_a_second_pod_and_the_range_a_larger_one(course: Course) -> None:
    course.ana.have_server()
    pod = course.hub.of_learner("ana", "pod")
    container = {key: pod["spec"]["containers"][0][key] for key in ("name", "image", "securityContext", "resources")}

    def refusal(memory: str) -> str:
        limited = {**container, "resources": {"limits": {"cpu": "1", "memory": memory}}}
        spec = {"containers": [limited], "automountServiceAccountToken": False}
        more = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "more", "namespace": "labs-ana"}, "spec": spec}
        file = course.hub.folder / "more.json"
        file.write_text(json.dumps(more))
        return course.hub.kubectl("create", "--filename", str(file)).stderr

    assert "exceeded quota: bounds" in refusal("64Mi")
    assert "maximum memory usage per Container is 1Gi" in refusal("2Gi")


def test_no_pod_beside_a_server_or_the_hub_has_more_than_the_restricted_standard(course: Course) -> None:
    course.ana.have_server()
    for namespace in ("labs-ana", NAMESPACE):
        asked = ("run", "more", "--image=more", "--dry-run=server", "--namespace", namespace)
        assert 'violates PodSecurity "restricted' in course.hub.kubectl(*asked).stderr


def test_what_a_learner_wrote_outlives_the_server(course: Course) -> None:
    course.ana.have_server()
    note = {"type": "file", "format": "text", "content": "kept"}
    course.ana.mine("PUT", "contents/note.txt", json=note)
    course.ana.stop_server()
    assert course.hub.names("pods", "--namespace", "labs-ana") == []
    assert course.hub.of_learner("ana", "persistentvolumeclaim")["status"]["phase"] == "Bound"
    course.ana.have_server()
    assert course.ana.mine("GET", "contents/note.txt")["content"] == "kept"


def test_a_changed_quota_comes_with_the_next_server_and_running_ones_go_on(course: Course, tmp_path: Path) -> None:
    course.ana.have_server()
    began = course.hub.of_learner("ana", "pod")["metadata"]["uid"]
    before = course.hub.of_learner("ana", "resourcequota")["spec"]["hard"]
    course.hub.apply(quota={**before, "count/secrets": "3"})
    course.hub.wait()
    with course.hub.reached(tmp_path / "again.log") as url:
        ana = Visitor(url, "ana", LEARNERS_PASSWORD)
        assert course.ana.browser.get(f"{url}/hub/home", allow_redirects=False, timeout=30).status_code == 200
        assert ana.mine("GET", "contents/09-claims.ipynb")["name"] == "09-claims.ipynb"
        assert course.hub.of_learner("ana", "pod")["metadata"]["uid"] == began
        ana.stop_server()
        ana.have_server()
    assert course.hub.of_learner("ana", "resourcequota")["spec"]["hard"] == {**before, "count/secrets": "3"}


def test_the_hub_changes_nothing_but_namespaces_of_learners(course: Course) -> None:
    account = "--as=system:serviceaccount:labs:hub"
    refused = course.hub.kubectl("create", "quota", "mine", "--namespace", "kube-system", account)
    assert "the hub may change only namespaces of learners" in refused.stderr
    refused = course.hub.kubectl("delete", "namespace", "local-path-storage", account)
    assert "the hub may change only namespaces of learners" in refused.stderr
    refused = course.hub.kubectl("create", "namespace", "labs-more", account)
    assert "the hub may make only namespaces that hold their pods to the restricted standard" in refused.stderr
    pods = ("create pods --subresource=exec", "update pods", "patch pods")
    for more in (*pods, "get secrets", "create rolebindings", "get nodes", "update namespaces", "patch namespaces"):
        asked = ("auth", "can-i", *more.split(), "--all-namespaces", account)
        assert course.hub.kubectl(*asked).stdout.strip() == "no"


def test_with_a_deleted_learner_goes_all_that_was_theirs(course: Course) -> None:
    course.ben.have_server()
    volume = course.hub.of_learner("ben", "persistentvolumeclaim")["spec"]["volumeName"]
    course.teacher.ask("DELETE", "/hub/api/users/ben").raise_for_status()

    def left() -> list[str]:
        found = [*course.hub.names("namespaces"), *course.hub.names("persistentvolumes")]
        return [name for name in found if name in ("namespace/labs-ben", f"persistentvolume/{volume}")]

    wait_until(lambda: not left(), "all of ben's to be gone", within_seconds=90, last_seen=lambda: f"left: {left()}")
    assert Visitor(course.url, "ben", LEARNERS_PASSWORD).sign_in() == 403


def test_where_nobody_is_listed_a_teacher_adds_learners(course: Course, tmp_path: Path) -> None:
    course.hub.apply(learners=[])
    course.hub.wait()
    with course.hub.reached(tmp_path / "again.log") as url:
        dan = Visitor(url, "dan", LEARNERS_PASSWORD)
        assert dan.sign_in() == 403
        Visitor(url, "teacher", TEACHERS_PASSWORD).ask("POST", "/hub/api/users/dan").raise_for_status()
        assert dan.sign_in() == 302


def test_a_server_that_nobody_uses_is_stopped(course: Course) -> None:
    course.ana.have_server()
    course.hub.apply(idle_minutes=0.1)
    course.hub.wait()
    seen(course.hub.cluster, "pods -n labs-ana", lambda pods: not pods["items"])
    assert course.hub.of_learner("ana", "persistentvolumeclaim")["status"]["phase"] == "Bound"


def test_at_last_nothing_of_it_is_left(open_hub: Hub) -> None:
    open_hub.kubectl("delete", "namespaces", *OF_THE_HUB).or_raise()
    open_hub.kubectl("delete", "--ignore-not-found", "-k", str(open_hub.folder)).or_raise()
    kinds = ("namespaces", "clusterroles", "clusterrolebindings", "validatingadmissionpolicies")
    assert [name for kind in kinds for name in open_hub.names(kind) if "labs" in name] == []
    wait_until(lambda: not open_hub.names("persistentvolumes"), "all volumes to be gone", within_seconds=60)
