"""Throwaway engines: a given daemon.json takes effect or is refused in the daemon's own words, and nothing stays."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from labsupport.errors import EngineError
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.private import start_private_engine
from labsupport.systems.engines.throwaway import throwaway_engine
from labsupport.systems.images import Images
from labsupport.systems.machines.machine import Machine
from tests.engines import machine, toolchain, tools

pytestmark = pytest.mark.needs("engine")


@pytest.fixture(scope="module")
def own() -> Iterator[Machine]:
    with machine() as started:
        yield started


def run(engine: Engine, *words: str) -> str:
    Images(engine, toolchain()).ensure("lab/toolbox")
    return engine.runner.run(["docker", "run", "--rm", "lab/toolbox", *words]).or_raise().stdout


def test_an_empty_file_is_the_engine_as_it_comes(own: Machine) -> None:
    with throwaway_engine(own, tools(), {}) as engine:
        assert run(engine, "echo", "hello") == "hello\n"
        assert engine.provenance()["storage_driver"] == "overlayfs"


def test_settings_take_effect(own: Machine) -> None:
    settings = {
        "features": {"containerd-snapshotter": False},
        "storage-driver": "vfs",
        "log-driver": "local",
        "data-root": "/var/lib/docker",
        "hosts": ["tcp://127.0.0.1:2375"],
    }
    with throwaway_engine(own, tools(), settings) as engine:
        info = engine.client.info()
        assert (info["Driver"], info["LoggingDriver"], info["DockerRootDir"]) == ("vfs", "local", "/var/lib/docker")
        assert run(engine, "echo", "hello") == "hello\n"


def test_flags_take_effect(own: Machine) -> None:
    with throwaway_engine(own, tools(), {}, ["--debug", "--log-driver=none"]) as engine:
        assert engine.client.info()["Debug"]
        assert engine.client.info()["LoggingDriver"] == "none"


def test_a_file_is_used_as_it_is(own: Machine, tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{ "log-level":   "warn" }')
    with throwaway_engine(own, tools(), file):
        used = next(own.folder.rglob("daemon.json"))
        assert used.read_text() == file.read_text()


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
}


@pytest.mark.parametrize(("daemon_json", "flags", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_is_told_in_the_daemons_own_words(
    own: Machine, daemon_json: Mapping[str, Any] | str, flags: Sequence[str], words: str
) -> None:
    with pytest.raises(EngineError) as refused, throwaway_engine(own, tools(), daemon_json, flags):
        pytest.fail("it started")
    assert words in refused.value.happened


def test_a_taken_port_is_told(own: Machine) -> None:
    taken = {"hosts": ["tcp://127.0.0.1:2399"], "metrics-addr": "127.0.0.1:2399"}
    told = r"127\.0\.0\.1:2399 failed: port is already allocated"
    with pytest.raises(EngineError, match=told), throwaway_engine(own, tools(), taken):
        pytest.fail("it started")


def test_it_is_apart_from_the_engine_beside_it_and_gone_afterwards(own: Machine) -> None:
    beside = start_private_engine(own, tools())
    beside.client.volumes.create("kept")
    with throwaway_engine(own, tools(), {}) as engine:
        assert engine.client.info()["ID"] != beside.client.info()["ID"]
        assert engine.client.volumes.list() == []
        folder = Path(engine.host.removeprefix("unix://")).parent
    assert not folder.exists()
    assert [each.name for each in beside.client.volumes.list()] == ["kept"]


def test_an_exception_in_the_block_ends_it_too(own: Machine) -> None:
    folder = Path()
    with pytest.raises(ZeroDivisionError), throwaway_engine(own, tools(), {}) as engine:
        folder = Path(engine.host.removeprefix("unix://")).parent
        assert json.loads((folder / "daemon.json").read_text()) == {}
        raise ZeroDivisionError
    assert not folder.exists()
