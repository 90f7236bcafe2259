"""A lab on the user's own engine: its things are labelled and go, whatever ends it; what others have there stays.

The user is not root, and their engine is full of things that are not the lab's. See tests/computers.py.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from labsupport.process.ownership import LABEL_KEY
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.kind import have_node_image
from labsupport.systems.images import Images
from tests.computers import HOME, Computer, computer_of_a_user
from tests.engines import toolchain

pytestmark = [pytest.mark.needs("root", "machine", "engine"), pytest.mark.timeout(1200)]

OPEN = """
import os, sys
from labsupport.backends import LabOptions, end_and_look, plan, start_backends
from labsupport.lessons.needs import Needs
from labsupport.process.commands import Invocation
from labsupport.process.ownership import Owner

def docker(*words, **how):
    return lab.runner.run(["docker", *words], invocation=Invocation(**how)).or_raise().stdout.strip()

def made(text, *words, **how):
    return docker("build", "--quiet", *words, "-", stdin="FROM lab/toolbox\\n" + text, **how)

chosen = plan(LabOptions(engine="own"))
lab = start_backends(chosen, Needs(engine=True, images=("lab/toolbox",)), owner=Owner.this_process())
before = lab.snapshot()
"""
FEW = """
docker("network", "create", "net")
docker("volume", "create", "vol")
docker("run", "--detach", "--name=one", "--network=net", "--volume=data:/data", "lab/toolbox", "sleep", "600")
docker("run", "--name=two", "--volume=/nameless", "--mount=type=volume,source=more,target=/m", "lab/toolbox", "true")
docker("rm", "two")
made("RUN echo child >/child", "--tag=child")
"""
MAKE = (
    FEW
    + """
made("RUN echo nameless >/nameless")
made("RUN echo taken >/taken", "--tag=web")
made("RUN echo classic >/classic\\nRUN echo more >/more", environment={"DOCKER_BUILDKIT": "0"})
targets = 'target "default" {\\n dockerfile-inline = "FROM lab/toolbox\\\\nRUN echo baked >/b"\\n tags = ["baked"]\\n}'
docker("buildx", "bake", "--file=-", stdin=targets)
docker("tag", "child", "child:again")
docker("commit", "one", "committed")
docker("save", "--output", os.environ["HOME"] + "/child.tar", "child:again")
docker("rmi", "child:again")
docker("load", "--input", os.environ["HOME"] + "/child.tar")
classic = ["docker", "build", "--quiet", "-"]
text = "FROM lab/toolbox\\nRUN echo half >/half\\nRUN false"
failed = lab.runner.run(classic, invocation=Invocation(stdin=text, environment={"DOCKER_BUILDKIT": "0"}))
assert failed.exit_code, failed
"""
)
# Another person, who knows nothing of labs: the same engine without the lab's `docker`.
MEANWHILE = """
theirs = lab.engine.client
theirs.volumes.create("meanwhile")
theirs.networks.create("meanwhile")
theirs.containers.run("theirs/tools", ["sleep", "600"], name="meanwhile", detach=True, network="meanwhile",
                      volumes={"meanwhile": {"bind": "/m"}, "data-of-theirs": {"bind": "/d"}})
theirs.images.get("theirs/tools").tag("meanwhile")
"""
CLOSE = """
removed = lab.remove_since(before)
left = lab.engine.owned.left()
assert left == ["image lab/toolbox:latest"], left
assert docker("image", "inspect", "--format", "{{.Id}}", "web") == theirs_web
assert not (left := end_and_look(lab)), left
"""
NOTE = 'theirs_web = docker("image", "inspect", "--format", "{{.Id}}", "web")\n'
DIE = "print(lab.visit.name, lab.visit.keeper().pid, flush=True)\nos.kill(os.getpid(), 9)\n"
OPEN_KIND = OPEN.replace('engine="own"', 'engine="own", cluster="kind"').replace("Needs(", "Needs(nodes=1, ")
USE_KIND = """
from labsupport.systems.clusters.store import stored_objects
from labsupport.systems.faults import make_fault, undo_faults

def kubectl(line):
    return lab.runner.run(["kubectl", *line.split()], within_seconds=90).or_raise().stdout

assert os.geteuid()
cluster, run = lab.labs_cluster, "run {} --image=lab/toolbox --image-pull-policy=Never -- sleep 600"
make_fault(cluster, "stop", "kube-scheduler")
kubectl(run.format("hello"))
assert '"name":"hello"' in cluster.audit_log.read_text()
assert "pods/hello" in stored_objects(cluster.etcd_answer(), "default")["objects"]
assert "Pending" in kubectl("get pod hello")
undo_faults(cluster)
kubectl("wait --for=condition=Ready pod/hello --timeout=60s")
assert kubectl("exec hello -- echo here") == "here\\n"
nodes = docker("ps", "--quiet", "--filter", f"label={lab.engine.mark}", "--filter", "label=io.x-k8s.kind.cluster")
assert len(nodes.split()) == 1, docker("ps")
"""


@pytest.fixture(scope="module")
def computer() -> Iterator[Computer]:
    with computer_of_a_user() as found:
        _fill(found)
        yield found


def test_a_foreign_engine_is_afterwards_as_it_was(computer: Computer) -> None:
    before = computer.engine.snapshot()
    result = computer.run("-c", OPEN + NOTE + MAKE + CLOSE)
    assert result.succeeded, result.stdout
    assert computer.engine.snapshot() == before
    assert _is_running(computer, "theirs")
    assert _run_folders(computer) == []


def test_what_others_make_meanwhile_stays(computer: Computer) -> None:
    before = computer.engine.snapshot()
    result = computer.run("-c", OPEN + NOTE + MAKE + MEANWHILE + CLOSE)
    assert result.succeeded, result.stdout
    client = computer.engine.client
    container, network = client.containers.get("meanwhile"), client.networks.get("meanwhile")
    volumes = {"meanwhile", "data-of-theirs"}
    expected = replace(
        before,
        containers=before.containers | {str(container.id)},
        networks=before.networks | {str(network.id)},
        volumes=before.volumes | volumes,
        tags={**before.tags, "meanwhile:latest": before.tags["theirs/tools:latest"]},
    )
    assert computer.engine.snapshot() == expected
    computer.engine.remove_since(before)


def test_an_image_that_somebody_else_has_come_to_use_stays_and_is_told(computer: Computer) -> None:
    before = computer.engine.snapshot()
    uses = 'lab.engine.client.containers.run("child", ["sleep", "600"], name="user", detach=True)\n'
    end = "lab.remove_since(before)\nleft = end_and_look(lab)\nprint(*left)\n"
    said = computer.run("-c", OPEN + FEW + uses + end).stdout
    assert "on your own engine: image child:latest" in said
    assert _is_running(computer, "user")
    computer.engine.remove_since(before)
    assert computer.engine.snapshot() == before


def test_all_that_commands_make_has_the_labs_label(computer: Computer) -> None:
    look = """
label = f"label={lab.engine.mark}"
assert docker("ps", "--all", "--quiet", "--filter", label), docker("ps")
assert docker("network", "ls", "--quiet", "--filter", label)
assert docker("volume", "ls", "--quiet", "--filter", label).split() == ["data", "more", "vol"]
labels = docker("inspect", "--format", "{{json .Config.Labels}}", "one")
assert lab.visit.name in labels, labels
lab.close()
"""
    result = computer.run("-c", OPEN + FEW + look)
    assert result.succeeded, result.stdout


def test_what_a_killed_lab_made_goes_with_it(computer: Computer) -> None:
    before = computer.engine.snapshot()
    assert computer.run("-c", OPEN + MAKE + DIE).exit_code == 128 + 9
    wait_until(lambda: _run_folders(computer) == [], "the killed lab's end", within_seconds=120)
    assert computer.engine.snapshot() == before


def test_what_a_killed_lab_with_a_killed_keeper_made_goes_with_the_next_start_or_clean(computer: Computer) -> None:
    before = computer.engine.snapshot()
    kill = "os.kill(lab.visit.keeper().pid, 9)\n"
    assert computer.run("-c", OPEN + FEW + kill + DIE).exit_code == 128 + 9
    assert computer.engine.snapshot() != before
    clean = "from labsupport.keeping import clean; print(*clean(caches=False))"
    assert "had left" in computer.run("-c", clean).stdout
    assert computer.engine.snapshot() == before
    assert _run_folders(computer) == []


def test_two_labs_share_an_image_and_the_last_one_takes_it(computer: Computer) -> None:
    before = computer.engine.snapshot()
    two = """
second = start_backends(chosen, Needs(engine=True, images=("lab/toolbox",)), owner=Owner.this_process())
assert not (left := end_and_look(lab)), left
print(second.runner.run(["docker", "run", "--rm", "lab/toolbox", "echo", "still here"]).or_raise().stdout)
assert not (left := end_and_look(second)), left
"""
    result = computer.run("-c", OPEN + two)
    assert result.stdout.strip() == "still here"
    assert computer.engine.snapshot() == before


def test_a_lab_that_starts_while_another_ends_has_the_image_that_both_use(computer: Computer) -> None:
    before = computer.engine.snapshot()
    rounds = """
from concurrent.futures import ThreadPoolExecutor
needs = Needs(engine=True, images=("lab/toolbox",))
with ThreadPoolExecutor(1) as meanwhile:
    for _ in range(6):
        next_one = meanwhile.submit(start_backends, chosen, needs, owner=Owner.this_process())
        assert not (left := end_and_look(lab)), left
        lab = next_one.result()
        print(docker("run", "--rm", "lab/toolbox", "echo", "there"))
assert not (left := end_and_look(lab)), left
"""
    result = computer.run("-c", OPEN + rounds)
    assert result.stdout.split() == ["there"] * 6
    assert computer.engine.snapshot() == before


@pytest.mark.needs("kind")
def test_kind_makes_a_cluster_there_for_who_is_not_root_and_all_of_it_goes_with_a_killed_lab(
    computer: Computer,
) -> None:
    have_node_image(toolchain())  # the computer's user may not write in this cache
    before, links = computer.engine.snapshot(), _links(computer)
    result = computer.run("-c", OPEN_KIND + USE_KIND + DIE)
    assert result.exit_code == 128 + 9, result.stdout
    name = result.stdout.split()[-2]
    wait_until(lambda: _run_folders(computer) == [], f"the end of {name}", within_seconds=120)
    assert computer.engine.snapshot() == before
    # The kernel takes a container's wires apart in its own time.
    wait_until(
        lambda: _links(computer) <= links,
        "its wires and mounts to be gone",
        within_seconds=60,
        last_seen=lambda: f"there is still {_links(computer) - links}",
    )
    assert _is_running(computer, "theirs")


@pytest.mark.parametrize("words", ["swarm init", "system prune --force", "compose up"])
def test_what_would_change_the_engine_itself_is_refused(computer: Computer, words: str) -> None:
    asked = f'print(lab.runner.run("docker {words}".split()))\nlab.close()\n'
    said = computer.run("-c", OPEN + asked).stdout
    assert "exit_code=125" in said
    assert "not run, as" in said


def test_prune_takes_only_what_is_the_labs(computer: Computer) -> None:
    before = computer.engine.snapshot()
    prune = """
docker("stop", "--timeout=0", "one")
for what in ("container", "network", "image"):
    docker(what, "prune", "--force")
assert docker("ps", "--all", "--quiet", "--filter", f"label={lab.engine.mark}") == ""
lab.close()
"""
    result = computer.run("-c", OPEN + FEW + prune)
    assert result.succeeded, result.stdout
    assert computer.engine.snapshot() == before


def test_an_engine_that_does_not_answer_is_one_clear_message(computer: Computer) -> None:
    said = computer.run("-c", OPEN, DOCKER_HOST="unix:///tmp/none.sock").stdout
    assert "Tried: reach your Docker engine at unix:///tmp/none.sock" in said
    assert _run_folders(computer) == []


def _fill(computer: Computer) -> None:
    """Have things on the engine that are not a lab's; one image has a name that a lab will take."""
    engine = computer.engine
    Images(engine, toolchain()).ensure("lab/toolbox")

    def docker(line: str, stdin: str = "") -> None:
        words = ["sh", "-c", f"docker {line}"]
        engine.runner.run(words).or_raise()

    docker("tag lab/toolbox theirs/tools")
    docker("rmi lab/toolbox")
    docker("network create theirs")
    docker("run --detach --name theirs --network theirs --volume theirs:/data theirs/tools sleep 6000")
    docker("run --name ended --volume /nameless theirs/tools true")
    docker("volume create --label theirs=yes unused")
    docker("build --quiet --tag web - <<'END'\nFROM theirs/tools\nRUN echo theirs >/theirs\nEND")
    assert not any(LABEL_KEY in each.labels for each in engine.client.containers.list(all=True))


def _is_running(computer: Computer, container: str) -> bool:
    return str(computer.engine.client.containers.get(container).status) == "running"


def _links(computer: Computer) -> set[str]:
    """The network's interfaces and routes of the computer, and what it has mounted; not their numbers, nor whether
    anyone is at the other end of a bridge just now."""
    look = "ip -brief link | cut -d' ' -f1 | cut -d@ -f1; ip route | sed 's/ linkdown//'; cut -d' ' -f2,3 /proc/mounts"
    return set(computer.machine.runner.run(["sh", "-c", look]).or_raise().stdout.splitlines())


def _run_folders(computer: Computer) -> list[str]:
    names = computer.machine.runner.run(["ls", "-A", f"{HOME}/labs"]).stdout.split()
    return [name for name in names if "lab-" in name]
