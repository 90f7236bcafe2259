"""Every engine keeps the same promises, whichever backend started it. What a backend cannot do is declared here."""

import json
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from labsupport.process.commands import CommandResult, Invocation
from labsupport.systems.engines.engine import Engine
from tests.engines import own_engine, private_engine

pytestmark = pytest.mark.needs("engine")

BACKENDS: Mapping[str, Callable[..., AbstractContextManager[Engine]]] = {
    "private": private_engine,
    "own": own_engine,
}
# Promise → the backends that cannot keep it, and why.
GAPS: Mapping[str, Mapping[str, str]] = {}

CHILD = 'FROM lab/toolbox\nRUN echo built > /made\nCMD ["cat", "/made"]\n'


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with BACKENDS[request.param]("lab/toolbox") as engine:
        yield engine


@pytest.fixture
def engine(backend: Engine, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine without the objects of other tests."""
    gap = GAPS.get(request.function.__name__, {}).get(backend.kind)
    if gap:
        pytest.skip(f"{backend.kind}: {gap}")
    before = backend.snapshot()
    yield backend
    backend.remove_since(before)
    assert backend.snapshot() == before


@pytest.fixture
def child(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(CHILD)
    return tmp_path


def docker(engine: Engine, *words: str) -> CommandResult:
    return engine.runner.run(["docker", *words]).or_raise()


def test_the_command_line_and_the_api_reach_the_same_engine(engine: Engine) -> None:
    assert docker(engine, "info", "--format", "{{.ID}}").stdout.strip() == engine.client.info()["ID"]


def test_version_is_the_engines_own(engine: Engine) -> None:
    assert engine.version == docker(engine, "version", "--format", "{{.Server.Version}}").stdout.strip()


def test_the_socket_is_its_owners_alone(engine: Engine) -> None:
    socket = Path(engine.host.removeprefix("unix://"))
    assert stat.S_ISSOCK(socket.stat().st_mode)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600


def test_a_container_runs_and_its_exit_code_and_streams_come_back(engine: Engine) -> None:
    result = engine.runner.run(["docker", "run", "--rm", "lab/toolbox", "sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (result.exit_code, result.stdout, result.stderr) == (7, "out\n", "err\n")


def test_nothing_is_read_from_or_written_to_the_users_docker_folder(
    engine: Engine, child: Path, tmp_path: Path
) -> None:
    users = tmp_path / "home/.docker"
    users.mkdir(parents=True)
    (users / "config.json").write_text("{ whoever reads this says so")
    home = Invocation(environment={"HOME": str(users.parent)})
    result = engine.runner.run(["docker", "build", "--quiet", str(child)], invocation=home).or_raise()
    assert "config" not in result.stderr
    assert [path.name for path in users.iterdir()] == ["config.json"]


def test_buildkit_builds_from_a_local_image_with_no_network(engine: Engine, child: Path) -> None:
    built = engine.runner.run(["docker", "build", "--tag=child", "--progress=plain", str(child)], within_seconds=120)
    assert "exporting to image" in built.or_raise().stderr
    assert docker(engine, "run", "--rm", "child").stdout == "built\n"


def test_an_image_that_is_not_there_fails_at_once_without_network(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM no-such-image\n")
    result = engine.runner.run(["docker", "build", str(tmp_path)], within_seconds=60)
    assert result.exit_code == 1


def test_names_resolve_between_containers_of_a_network(engine: Engine) -> None:
    docker(engine, "network", "create", "names")
    docker(engine, "run", "--detach", "--network=names", "--name=server", "lab/toolbox", "httpd", "-f", "-h", "/etc")
    # It runs before it listens.
    asked = "until wget -qO- http://server/group; do sleep 0.1; done"
    page = docker(engine, "run", "--rm", "--network=names", "lab/toolbox", "timeout", "30", "sh", "-c", asked)
    assert page.stdout.startswith("root:")
    docker(engine, "rm", "--force", "server")


def test_init_is_there_for_those_who_ask_for_it(engine: Engine) -> None:
    result = docker(engine, "run", "--rm", "--init", "lab/toolbox", "cat", "/proc/1/cmdline")
    assert "docker-init" in result.stdout


def test_everything_made_since_a_snapshot_is_removed_and_the_rest_stays(engine: Engine, child: Path) -> None:
    docker(engine, "run", "--detach", "--name=old", "lab/toolbox", "sleep", "1000")
    docker(engine, "volume", "create", "old")
    before = engine.snapshot()
    docker(engine, "build", "--tag=child", str(child))
    docker(engine, "network", "create", "new")
    docker(
        engine,
        "run",
        "--detach",
        "--name=new",
        "--network=new",
        "--volume=new:/a",
        "--volume=/b",
        "child",
        "sleep",
        "9",
    )
    docker(engine, "commit", "new", "committed")
    removed = engine.remove_since(before)
    assert removed.containers == ("new",)
    assert removed.networks == ("new",)
    assert removed.volumes == ("new",)
    # The classic builder of an engine that others use leaves layers that have no name.
    named = {name for name in removed.images if not name.startswith("sha256:")}
    assert named == {"child:latest", "committed:latest"}
    assert removed.build_cache > 0
    assert engine.snapshot() == before
    assert not engine.remove_since(before)


def test_a_name_that_was_moved_means_its_image_again(engine: Engine) -> None:
    docker(engine, "run", "--name=made", "lab/toolbox", "true")
    before = engine.snapshot()
    docker(engine, "commit", "made", "other")
    docker(engine, "tag", "other", "lab/toolbox")
    assert engine.snapshot().tags != before.tags
    assert engine.remove_since(before).lost == ()
    assert engine.snapshot() == before


def test_provenance_is_plain_and_names_versions(engine: Engine) -> None:
    told = engine.provenance()
    assert json.loads(json.dumps(told)) == told
    assert told["kind"] == engine.kind
    assert told["version"] == engine.version
    for key in ("storage_driver", "cgroup_driver", "cgroup_version", "kernel", "containerd", "runc"):
        assert told[key], key
    assert {"dockerd", "containerd", "runc", "docker", "docker-buildx"} <= {tool["name"] for tool in told["tools"]}


def test_two_looks_at_provenance_are_equal(engine: Engine) -> None:
    assert engine.provenance() == engine.provenance()
