"""The lab's images: small, made offline, the same every time, and enough for what notebooks do with them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.process.commands import CommandResult, Invocation
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.private import start_private_engine
from labsupport.systems.images import EngineSeeds, Images, missing_images
from labsupport.systems.images.archives import Archives
from labsupport.systems.images.recipes import RECIPES
from labsupport.systems.images.seeds import AREA
from labsupport.systems.toolchain import Toolchain
from tests.engines import private_engine, toolchain, tools
from tests.leaks import leak_checked_machine

pytestmark = pytest.mark.needs("engine")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with private_engine("lab/toolbox") as started:
        yield started


def run(engine: Engine, *words: str) -> CommandResult:
    return engine.runner.run(["docker", "run", "--rm", *words])


def test_toolbox_is_small_and_sets_nothing_but_path(engine: Engine) -> None:
    image = engine.client.images.get("lab/toolbox").attrs
    assert image["Size"] < 15_000_000
    config = image["Config"]
    assert [variable.partition("=")[0] for variable in config["Env"]] == ["PATH"]
    assert not config.get("Cmd")
    assert not config.get("Entrypoint")
    assert not config.get("Labels")


@pytest.mark.parametrize(
    "command", ["sh", "nslookup", "wget", "ping", "httpd", "nc", "nproc", "free", "ip", "ps", "bash", "dash"]
)
def test_toolbox_has(engine: Engine, command: str) -> None:
    assert run(engine, "lab/toolbox", "which", command).stdout == f"/bin/{command}\n"


@pytest.mark.parametrize("lookup", [["nslookup", "no-such-name.invalid"], ["ping", "-c1", "no-such-name.invalid"]])
def test_a_name_that_does_not_resolve_is_an_error_and_not_a_crash(engine: Engine, lookup: list[str]) -> None:
    result = run(engine, "lab/toolbox", *lookup)
    assert result.exit_code == 1
    assert "Segmentation" not in result.stderr


def test_argv_is_seen_as_the_kernel_has_it(engine: Engine) -> None:
    result = run(engine, "lab/toolbox", "sh", "-c", "tr '\\0' '|' < /proc/1/cmdline; echo", "zero", "one two")
    assert result.stdout == "sh|-c|tr '\\0' '|' < /proc/1/cmdline; echo|zero|one two|\n"


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_a_shell_traps_the_stop_signal(engine: Engine, shell: str) -> None:
    script = "trap 'echo caught; exit 3' TERM; kill -TERM $$; sleep 5"
    result = run(engine, "lab/toolbox", shell, "-c", script)
    assert (result.stdout, result.exit_code) == ("caught\n", 3)


def test_a_second_ensure_does_nothing(engine: Engine) -> None:
    before = engine.snapshot()
    Images(engine, toolchain(), listener=lambda progress: pytest.fail(progress.text)).ensure("lab/toolbox")
    assert engine.snapshot() == before


def test_an_image_of_that_name_that_is_another_is_replaced(engine: Engine) -> None:
    before = engine.snapshot()
    made = engine.client.containers.create("lab/toolbox", ["true"])
    made.commit("lab/toolbox", "latest")
    Images(engine, toolchain()).ensure("lab/toolbox")
    assert engine.snapshot().tags == before.tags
    engine.remove_since(before)


def toolchain_without(area: str, folder: Path) -> Toolchain:
    """A toolchain on a cache in `folder` with all there is but one area: what is in that, others may be using."""
    for each in toolchain().cache.iterdir():
        if each.name not in (area, "partial", "lock"):
            (folder / each.name).symlink_to(each)
    return Toolchain(folder)


def test_the_same_inputs_make_the_same_image(engine: Engine, tmp_path: Path) -> None:
    recipe = RECIPES["toolbox"]
    made_before = Archives(toolchain()).find(recipe)
    assert made_before is not None
    bare = toolchain_without("images", tmp_path)
    assert missing_images(bare, "lab/toolbox") == ["lab/toolbox:latest"]
    Images(engine, bare).ensure("lab/toolbox")
    made = Archives(bare).find(recipe)
    assert made is not None and made != made_before
    assert (made / "ids.json").read_text() == (made_before / "ids.json").read_text()
    assert missing_images(bare, "lab/toolbox") == []


def ensure_if_cheap(engine: Engine, image: str) -> None:
    """Have an image that takes minutes to make; where it is not made yet, only a run that requires it makes it."""
    if missing_images(toolchain(), image) and image not in os.environ.get("LAB_REQUIRE", ""):
        pytest.skip(f"{image} is not made yet: LAB_REQUIRE={image} makes it")
    Images(engine, toolchain()).ensure(image)


def test_agnhost_serves_under_its_name(engine: Engine) -> None:
    ensure_if_cheap(engine, "lab/agnhost")
    before = engine.snapshot()
    engine.client.networks.create("names")
    engine.client.containers.run("lab/agnhost", ["netexec", "--http-port=80"], name="web", network="names", detach=True)
    asked = "until wget -qO- http://web/hostname; do sleep 0.1; done"
    page = run(engine, "--network=names", "lab/toolbox", "timeout", "50", "sh", "-c", asked)
    assert page.stdout == engine.client.containers.get("web").attrs["Config"]["Hostname"]
    engine.remove_since(before)


def test_debian_is_debian_with_apt(engine: Engine) -> None:
    ensure_if_cheap(engine, "lab/debian")
    told = run(engine, "lab/debian", "sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME; apt-get --version")
    assert told.stdout.startswith("bookworm\napt ")
    fetched = ["find", "/var/lib/apt/lists", "/var/cache/apt/archives", "-name", "*_*"]
    assert run(engine, "lab/debian", *fetched).stdout == ""


def test_an_engine_that_begins_with_images_has_them_and_changes_them_for_nobody_else(tmp_path: Path) -> None:
    seeds = EngineSeeds(toolchain_without(AREA, tmp_path), tools())
    folders = {"tools": [tools().programs], "visible": [tmp_path, toolchain().cache]}
    with private_engine("lab/agnhost"), leak_checked_machine(**folders) as own:
        assert seeds.find("lab/agnhost") is None
        seeds.ensure(own, "lab/agnhost")
        seed = seeds.find("lab/agnhost")
        assert seed is not None
        kept = files_in(seed)
        engine = start_private_engine(own, tools(), seed=seed)
        (image,) = engine.client.images.list()
        Images(engine, toolchain()).ensure("lab/agnhost")
        assert [each.id for each in engine.client.images.list()] == [image.id]
        assert run(engine, "--entrypoint=sh", "lab/agnhost", "-c", "echo mine >/agnhost && rm /bin/bash").succeeded
        build = Invocation(stdin="FROM lab/agnhost\nRUN rm /bin/bash /agnhost\n")
        built = engine.runner.run(["docker", "build", "--quiet", "--tag", "built", "-"], invocation=build)
        assert built.succeeded, built.stderr
        engine.runner.run(["docker", "image", "rm", "--force", "built", "lab/agnhost"]).or_raise()
        engine.runner.run(["docker", "system", "prune", "--all", "--force"]).or_raise()
        assert engine.client.images.list() == []
        assert files_in(seed) == kept
        Images(engine, toolchain()).ensure("lab/agnhost")
        assert run(engine, "--entrypoint=true", "lab/agnhost").succeeded


def files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of last change of everything in a folder, by path."""
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")}
