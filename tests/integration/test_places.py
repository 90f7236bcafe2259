"""Other engines of a lab by name: what they are started with takes effect or is refused in the daemon's own words."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from labsupport.backends import Backends, Plan
from labsupport.backends.places import Places
from labsupport.errors import EngineError, MachineError, UsageError
from labsupport.process.commands import Invocation
from labsupport.process.waiting import wait_until
from labsupport.systems.engines.private import start_private_engine
from tests.engines import machine, tools

pytestmark = pytest.mark.needs("engine")
TOOLBOX = ("lab/toolbox",)


@pytest.fixture(scope="module")
def lab() -> Iterator[Backends]:
    with machine() as own:
        yield Backends(Plan("namespaces"), own, start_private_engine(own, tools()), images=TOOLBOX)


@pytest.fixture
def places(lab: Backends) -> Iterator[Places]:
    yield lab.places
    lab.places.tidy()


def run(places: Places, place: str, *argv: str) -> str:
    return places.runner(place).run(argv).or_raise().stdout.strip()


def folder_of(places: Places, name: str) -> Path:
    return Path(places.engine(name).host.removeprefix("unix://")).parent


def test_the_old_engine_runs_beside_todays(places: Places, lab: Backends) -> None:
    versions = [run(places, place, "docker", "version", "--format", "{{.Server.Version}}") for place in ("", "old")]
    assert versions[1].startswith("20.10.")
    assert versions[0] != versions[1]
    assert run(places, "old", "docker", "run", "--rm", "lab/toolbox", "echo", "hello") == "hello"
    assert [used["version"] for used in places.used()] == [versions[1]]
    facts = lab.provenance_of_trial(lab.provenance())
    assert facts["engine"] == f"Docker {versions[0]} (built here) and Docker {versions[1]}"


def test_a_machine_of_an_engine_shows_the_processes_of_its_containers(places: Places) -> None:
    run(places, "old", "docker", "run", "--detach", "--name", "long", "lab/toolbox", "sleep", "600")
    pid = run(places, "old", "docker", "inspect", "--format", "{{.State.Pid}}", "long")
    comm = ("cat", f"/proc/{pid}/comm")
    # The engine says that it runs a moment before its program does.
    wait_until(lambda: run(places, "old-machine", *comm) == "sleep", "its program", within_seconds=30)
    assert run(places, "old-machine", "docker", "ps", "--quiet", "--filter", "name=long")


def test_commands_run_in_the_notebooks_folder(places: Places) -> None:
    assert run(places, "machine", "pwd") == str(Path.cwd())
    asked = Invocation(folder=Path("/proc"))
    assert places.runner("machine").run(["pwd"], invocation=asked).stdout.strip() == "/proc"


def test_what_a_trial_made_on_a_kept_engine_goes_with_it_and_the_engine_stays(places: Places) -> None:
    run(places, "old", "docker", "volume", "create", "mine")
    before = places.engine("old").client.info()["ID"]
    assert "1 volume" in "; ".join(places.tidy())
    assert run(places, "old", "docker", "volume", "ls", "--quiet") == ""
    assert places.engine("old").client.info()["ID"] == before


def test_the_systemd_engine_gives_containers_scopes_that_systemd_knows(places: Places) -> None:
    assert run(places, "systemd", "docker", "info", "--format", "{{.CgroupDriver}}") == "systemd"
    identity = run(places, "systemd", "docker", "run", "--detach", "lab/toolbox", "sleep", "600")
    assert "active" in run(places, "systemd-machine", "systemctl", "status", f"docker-{identity}.scope")


def test_two_engines_reach_each_other_over_the_switch(places: Places) -> None:
    serve = [
        "docker",
        "run",
        "--detach",
        "--publish",
        "8123:8123",
        "lab/toolbox",
        "httpd",
        "-f",
        "-p",
        "8123",
        "-h",
        "/bin",
    ]
    run(places, "old", *serve)
    page = f"http://{places.machine('old-machine').address}:8123/busybox"
    run(places, "peer", "docker", "run", "--rm", "lab/toolbox", "wget", "-q", "-O", "/dev/null", page)


def test_settings_take_effect(places: Places) -> None:
    settings = {
        "features": {"containerd-snapshotter": False},
        "storage-driver": "vfs",
        "log-driver": "local",
        "data-root": "/var/lib/docker",
        "hosts": ["tcp://127.0.0.1:2375"],
    }
    engine = places.start_engine("bench", settings, images=TOOLBOX)
    info = engine.client.info()
    assert (info["Driver"], info["LoggingDriver"], info["DockerRootDir"]) == ("vfs", "local", "/var/lib/docker")
    assert run(places, "bench", "docker", "run", "--rm", "lab/toolbox", "echo", "hello") == "hello"


def test_flags_take_effect(places: Places) -> None:
    engine = places.start_engine("bench", {}, flags=["--debug", "--log-driver=none"])
    assert engine.client.info()["Debug"]
    assert engine.client.info()["LoggingDriver"] == "none"


def test_started_again_it_has_the_data_and_the_machine_it_had(places: Places) -> None:
    places.start_engine("bench", {}).client.volumes.create("kept")
    address = places.machine("bench-machine").address
    again = places.start_engine("bench", {"log-driver": "local"})
    assert [volume.name for volume in again.client.volumes.list()] == ["kept"]
    assert again.client.info()["LoggingDriver"] == "local"
    assert places.machine("bench-machine").address == address


@pytest.mark.parametrize("release", ["today", "old"])
def test_started_again_it_had_ended_its_containers_and_its_containerd(places: Places, release: str) -> None:
    places.start_engine("bench", {}, release=release, images=TOOLBOX)
    polite = "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"
    run(places, "bench", "docker", "run", "--detach", "--name", "polite", "lab/toolbox", "sh", "-c", polite)
    wait_until(lambda: run(places, "bench", "docker", "logs", "polite") == "up", "it to be up", within_seconds=30)
    containerd = run(places, "bench-machine", "pidof", "containerd")
    places.start_engine("bench", {}, release=release)
    assert run(places, "bench", "docker", "inspect", "--format", "{{.State.ExitCode}}", "polite") == "7"
    assert run(places, "bench-machine", "pidof", "containerd") not in ("", containerd)


def test_an_upgrade_keeps_the_data(places: Places) -> None:
    places.start_engine("bench", {}, release="old").client.volumes.create("kept")
    again = places.start_engine("bench", {})
    assert [volume.name for volume in again.client.volumes.list()] == ["kept"]


def test_a_file_is_used_as_it_is(places: Places, tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{ "log-level":   "warn" }')
    places.start_engine("bench", file)
    assert (folder_of(places, "bench") / "daemon.json").read_text() == file.read_text()


REFUSED: Mapping[str, tuple[Mapping[str, Any] | str, Sequence[str], str]] = {
    "unknown key": (
        {"no-such-key": 1},
        (),
        "the following directives don't match any configuration option: no-such-key",
    ),
    "wrong type": ({"debug": "yes"}, (), "cannot unmarshal string into Go struct field"),
    "broken file": ("{ oops", (), "invalid character 'o' looking for beginning of object key string"),
    "flag and file": (
        {"log-driver": "local"},
        ("--log-driver=json-file",),
        "specified both as a flag and in the configuration file: log-driver: (from flag: json-file, from file: local)",
    ),
    "unknown flag": ({}, ("--no-such-flag",), "unknown flag: --no-such-flag"),
    "unknown storage driver": ({"storage-driver": "aufs"}, (), 'configured driver "aufs" not available'),
    "unified": ({"exec-opts": ["native.cgroupdriver=unified"]}, (), "native.cgroupdriver option unified not supported"),
    "taken port": (
        {"hosts": ["tcp://127.0.0.1:2399"], "metrics-addr": "127.0.0.1:2399"},
        (),
        "127.0.0.1:2399 failed: port is already allocated",
    ),
}


@pytest.mark.parametrize(("daemon_json", "flags", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_is_told_in_the_daemons_own_words(
    places: Places, tmp_path: Path, daemon_json: Mapping[str, Any] | str, flags: Sequence[str], words: str
) -> None:
    file = tmp_path / "daemon.json"
    file.write_text(daemon_json if isinstance(daemon_json, str) else json.dumps(daemon_json))
    with pytest.raises(EngineError) as refused:
        places.start_engine("bench", file, flags=flags)
    assert words in refused.value.happened
    with pytest.raises(UsageError, match="not running"):
        places.engine("bench")


def test_it_is_apart_from_the_engine_beside_it_and_gone_with_the_trial(places: Places, lab: Backends) -> None:
    assert lab.engine is not None
    lab.engine.client.volumes.create("beside")
    engine = places.start_engine("bench", {})
    assert engine.client.info()["ID"] != lab.engine.client.info()["ID"]
    assert engine.client.volumes.list() == []
    folder = folder_of(places, "bench")
    assert places.tidy() == ["the engine bench"]
    assert not folder.exists()
    assert [each.name for each in lab.engine.client.volumes.list()] == ["beside"]
    with pytest.raises(UsageError, match="no such place"):
        places.engine("bench")


def test_another_notebook_on_the_same_lab_has_an_engine_of_its_own_by_that_name(places: Places, lab: Backends) -> None:
    other = Places(lab)
    places.start_engine("bench", {}).client.volumes.create("here")
    assert other.start_engine("bench", {}).client.volumes.list() == []
    other.tidy()
    assert [volume.name for volume in places.engine("bench").client.volumes.list()] == ["here"]


def test_reset_ends_kept_engines_and_those_of_a_killed_notebook(places: Places, lab: Backends) -> None:
    assert places.engine("old")
    assert places.engine("peer")
    (Places(lab).start_machine("bench").folder / "user").write_text("1 never")
    assert {"the engine bench", "the engine old", "the engine peer"} <= {*places.end_all()}
    assert places.engine("old").client.ping()


def test_what_a_notebook_that_was_killed_had_started_makes_way(places: Places, lab: Backends) -> None:
    first = places.start_machine("bench")
    (first.folder / "user").write_text("1 never")
    second = Places(lab)
    second.start_engine("bench", {})
    assert not Path(f"/proc/{first.pid}").exists()
    second.tidy()


def test_started_ahead_by_two_notebooks_it_is_one_engine(places: Places, lab: Backends) -> None:
    places.end_all()
    other = Places(lab)
    for each in (places, other):
        each.start_ahead(["peer"])
    assert places.engine("peer").client.info()["ID"] == other.engine("peer").client.info()["ID"]
    other.close()
    assert run(places, "peer", "docker", "run", "--rm", "lab/toolbox", "echo", "hello") == "hello"


def test_closing_while_an_engine_starts_ahead_leaves_nothing() -> None:
    with machine() as own:
        unused = Backends(Plan("namespaces"), own).places
        unused.start_ahead(["peer"])
        unused.close()


def test_what_goes_wrong_ahead_is_told_at_first_use() -> None:
    with machine() as own:
        ended = Backends(Plan("namespaces"), own).places
    ended.start_ahead(["peer"])
    with pytest.raises(MachineError, match="it has ended"):
        ended.engine("peer")
    ended.start_ahead(["peer"])
    ended.close()
    assert not own.folder.exists()
