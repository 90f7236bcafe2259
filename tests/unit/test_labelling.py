"""What a lab adds to `docker` and `kubectl` commands on what is the user's, and what it knows to be its own there."""

from pathlib import Path

import pytest

from labsupport.systems.clusters import labelled_kubectl
from labsupport.systems.engines.journal import Journal
from labsupport.systems.engines.labelling import Command

LAB = "lab-3f9a2c"
MARK = ["--label", f"labsupport.lab={LAB}"]
OF_IMAGE = ["--label", f"labsupport.image-of={LAB}"]


def words(line: str) -> list[str]:
    return line.split()


def ran(line: str) -> list[str]:
    return list(Command.of(words(line)).with_added(LAB))


@pytest.mark.parametrize("verb", ["run", "create", "container run", "network create", "volume create"])
def test_what_takes_a_label_gets_the_labs(verb: str) -> None:
    assert ran(f"{verb} --name a b c") == [*verb.split(), *MARK, *words("--name a b c")]


def test_options_before_the_command_stay_there() -> None:
    assert ran("--debug --config /c run a") == [*words("--debug --config /c run"), *MARK, "a"]


@pytest.mark.parametrize("verb", ["build", "buildx build", "image build"])
def test_images_get_a_label_of_another_key_so_that_containers_do_not_inherit_the_containers(verb: str) -> None:
    assert ran(f"{verb} .") == [*verb.split(), *OF_IMAGE, "."]


def test_a_commit_has_no_label_option_and_gets_a_change() -> None:
    assert ran("commit c i") == ["commit", "--change", f"LABEL labsupport.image-of={LAB}", "c", "i"]


@pytest.mark.parametrize(
    "line", ["ps --all", "pull a", "tag a b", "rm -f a", "-H tcp://elsewhere run a", "", "--version"]
)
def test_all_else_is_run_as_it_is(line: str) -> None:
    assert ran(line) == words(line)


@pytest.mark.parametrize("output", ["--output=type=docker,dest=a.tar", "-o folder", "--output type=tar,dest=a"])
def test_a_build_into_a_file_makes_nothing_on_the_engine(output: str) -> None:
    assert ran(f"build {output} .") == words(f"build {output} .")


def test_prune_keeps_to_what_is_the_labs() -> None:
    assert ran("container prune -f") == ["container", "prune", "--filter", f"label=labsupport.lab={LAB}", "-f"]
    assert f"label=labsupport.image-of={LAB}" in ran("image prune")


@pytest.mark.parametrize(
    "line", ["swarm init", "builder prune -f", "system prune", "compose up", "service create a", "plugin install a"]
)
def test_what_would_touch_everybodys_is_refused_with_the_reason(line: str) -> None:
    assert Command.of(words(line)).refused
    assert not Command.of(words(f"{line} --help")).refused


@pytest.mark.parametrize(
    ("line", "names", "not_names"),
    [
        ("build -t web .", "web:latest", "webs:latest"),
        ("build --tag=web:2 .", "web:2", "web:latest"),
        ("build -tweb .", "web:latest", "b:latest"),
        ("buildx build --output type=image,name=web .", "web:latest", "image:latest"),
        ("tag a web:1", "web:1", "web:latest"),
        ("pull docker.io/library/alpine", "alpine:latest", "pull:latest"),
    ],
)
def test_the_names_in_a_commands_words(line: str, names: str, not_names: str) -> None:
    command = Command.of(words(line))
    assert command.names(names)
    assert not command.names(not_names)


def test_what_a_file_of_targets_builds_is_labelled_and_the_labs_though_it_was_killed(tmp_path: Path) -> None:
    command = Command.of(words("buildx bake --progress quiet --file targets.hcl one"))
    assert not command.refused
    assert command.with_added(LAB)[:4] == ("buildx", "bake", "--set", f"*.labels.labsupport.image-of={LAB}")
    assert command.builds and not command.names_its_images
    journal = Journal(tmp_path)
    journal.begin(command.words, was={"theirs:latest": "old"})
    assert journal.took("one:latest", "built", labelled=["built"])
    assert not journal.took("one:latest", "pulled by somebody else meanwhile", labelled=["built"])
    assert not journal.took("theirs:latest", "old", labelled=["old"])


@pytest.mark.parametrize(
    ("line", "volumes"),
    [
        ("run -v data:/a -v /b:/b -v /c a", ["data"]),
        ("run --volume=data:/a:ro --mount type=volume,source=more,target=/m a", ["data", "more"]),
        ("create --mount type=bind,source=/x,target=/m --mount src=third,dst=/t a", ["third"]),
        ("ps -v data:/a", []),
    ],
)
def test_the_named_volumes_that_the_engine_would_make(line: str, volumes: list[str]) -> None:
    assert Command.of(words(line)).volumes() == volumes


def test_a_name_is_the_labs_where_its_command_made_it_mean_that_image(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    key = journal.begin(words("build -t web ."), was={"web:latest": "old"})
    journal.end(key, names={"web:latest": "new"})
    assert journal.took("web:latest", "new")
    assert journal.meant_before("web:latest", "new") == "old"
    again = journal.begin(words("build -t web ."), was={"web:latest": "new"})
    journal.end(again, names={"web:latest": "newest"})
    assert journal.meant_before("web:latest", "newest") == "old"
    # Moved on by somebody else, or back by the lab itself; and a name nobody spoke of.
    assert not journal.took("web:latest", "newer")
    assert not journal.took("web:latest", "old")
    assert not journal.took("other:latest", "new")


def test_what_a_killed_command_did_is_known_by_its_words(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(words("pull alpine"), was={})
    assert journal.took("alpine:latest", "any")
    assert not journal.took("debian:latest", "any")


def test_an_image_that_was_there_already_is_not_the_labs(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    key = journal.begin(words("run alpine true"), was={"alpine:latest": "theirs"})
    journal.end(key, names={"alpine:latest": "theirs"})
    assert not journal.took("alpine:latest", "theirs")
    assert not journal.took("alpine:latest", "newer")


def test_a_line_cut_short_does_not_hide_the_others(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(words("pull a"))
    (tmp_path / "made.jsonl").open("a").write('{"begin": "x", "wor\n')
    journal.begin(words("pull b"))
    assert [entry.words[1] for entry in journal.entries()] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "ran"),
    [
        ("run web --image=a", "run --labels=run=web,labsupport.lab=lab-3f9a2c web --image=a"),
        ("run web --labels=a=b", "run web --labels=a=b,labsupport.lab=lab-3f9a2c"),
        ("-n there run web -l a=b", "-n there run web -l a=b,labsupport.lab=lab-3f9a2c"),
        ("delete pods --all", "delete pods --selector=labsupport.lab=lab-3f9a2c"),
    ],
)
def test_kubectl_commands_keep_to_what_is_the_labs(line: str, ran: str) -> None:
    assert list(labelled_kubectl.Command.of(words(line)).with_label(MARK[1])) == words(ran)


def test_the_manifests_of_a_kubectl_command() -> None:
    files, others = labelled_kubectl.Command.of(words("apply -f a.yaml --wait --filename=b.yaml -R")).split_files()
    assert (files, others) == (["-f", "a.yaml", "--filename=b.yaml", "-R"], ["apply", "--wait"])


def test_objects_of_others_are_named() -> None:
    ours = {"kind": "Pod", "metadata": {"name": "a", "labels": {"labsupport.lab": LAB}}}
    theirs = {"kind": "Pod", "metadata": {"name": "b"}}
    assert labelled_kubectl.not_of_lab({"kind": "List", "items": [ours, theirs]}, MARK[1]) == ["pod b"]
    assert labelled_kubectl.documents_in('{"a": 1}\n{"b": 2}\n') == [{"a": 1}, {"b": 2}]
