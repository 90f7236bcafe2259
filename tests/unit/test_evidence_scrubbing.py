"""What belongs to one computer or one moment leaves evidence; what an experiment is about stays."""

import json
import random
import re
import string

import pytest

from labsupport.experiments.scrubbing import Scrubber, kind_of_ids

CONTAINER = "4f3a" * 16
OTHER = "9b1c" * 16


@pytest.fixture
def scrubber() -> Scrubber:
    places = {
        "/var/lib/labs/lab-3f9a2c": "<run>",
        "/home/ann": "<home>",
        "/home/ann/course": "<project>",
        "10.99.0.7": "<host-address>",
    }
    return Scrubber(places, {"annsbox": "<host>", "annie": "<user>"})


NASTY = {
    "unix:///var/lib/labs/lab-3f9a2c/docker.sock": "unix://<run>/docker.sock",
    "label=labsupport.lab=lab-3f9a2c,x": "label=labsupport.lab=<lab>,x",
    "/home/ann/course/notebooks and /home/ann/.docker:": "<project>/notebooks and <home>/.docker:",
    '"/home/ann"': '"<home>"',
    "annie@annsbox:~$": "<user>@<host>:~$",
    "hello from annsbox.": "hello from <host>.",
    "via 10.99.0.7 dev eth0": "via <host-address> dev eth0",
    "connect to 169.254.37.1:8080": "connect to <link-local-1>:8080",
    "inet6 fe80::42:acff:fe11:2/64": "inet6 <link-local-1>/64",
    "started 2026-11-23T01:02:03.123456789Z ok": "started <time> ok",
    "2026-11-23 01:02:03.5 +0000 UTC m=+0.1": "<time>",
    "time=2026-11-23T01:02:03+01:00 level=info": "time=<time> level=info",
    "[23/Nov/2026:01:02:03 +0000] GET /": "[<time>] GET /",
    "Nov  3 01:02:03 app[1]: x": "<time> app[1]: x",
    "Mon Nov 23 01:02:00 UTC 2026": "<time>",
    "Mon, 23 Nov 2026 01:02:00 GMT": "<time>",
    "-rw-r--r-- 1 root root 3 Nov 23 01:02 f": "-rw-r--r-- 1 root root 3 <time> f",
    "Up 3 minutes  2 seconds ago  Up About a minute": "Up <duration>  <duration> ago  Up <duration>",
    "Less than a second ago": "<duration> ago",
    "#5 0.123 hello\n#5 DONE 1.2s": "#5 <duration> hello\n#5 DONE <duration>",
    "boot 0b5bbf6f-1b1c-4cb6-a44c-0f4ab2f1c6d8": "boot <uid-1>",
    "machine-id 0123456789abcdef0123456789abcdef": "machine-id <id-1>",
    "lowerdir=l/ABCDEFGHIJKLMNOPQRST234567": "lowerdir=l/<layer-link-1>",
    "node xj2kq9d7w3m4n5b6v7c8x9z0a": "node <id-1>",
    "veth1a2b3c4@if5": "<veth-1>@if5",
    "lxcf461e93c1e4e@if5": "<veth-1>@if5",
    "link/ether 02:42:ac:11:00:02": "link/ether <mac-1>",
    "/tmp/tmpab12cd_3/x /tmp/tmp.Xy12Zz34Qw": "<temporary>/x <temporary>",
    "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\nend": "<private key>\nend",
    "Authorization: Bearer abcdef0123456789xyz": "Authorization: Bearer <token>",
    "docker swarm join --token SWMTKN-1-0a1b2c3d-4e5f6a7b": "docker swarm join --token <token>",
}

KEPT = [
    "137438953472 bytes",  # twelve digits
    "deadbeefcafe",  # twelve letters
    "/home/anna/.docker",  # another user's folder, which only begins like ours
    "HOME=/root",
    "uid=0(root) gid=0(root)",
    "172.17.0.2/16 and 10.244.0.5",
    "169.254.169.254 169.254.0.0/16",
    "ff:ff:ff:ff:ff:ff 00:00:00:00:00:00",
    "0001-01-01T00:00:00Z",  # Docker's word for never
    "1980-01-01 00:00:00 +0000 UTC",
    "2001-02-03T04:05:06Z",  # a time an experiment set
    "docker 29.8.2 build 1a2b3c4, kernel 6.18.0-13",
    "slept 10.2s",
    "annsboxes and annie-lou",
    "exit 143 after SIGTERM",
    "lab-toolbox lab-3f9a2c1",
]


@pytest.mark.parametrize("text", NASTY)
def test_what_belongs_to_this_computer_or_moment_is_replaced(scrubber: Scrubber, text: str) -> None:
    assert scrubber.text(text) == NASTY[text]


@pytest.mark.parametrize("text", KEPT)
def test_what_an_experiment_may_be_about_is_kept(scrubber: Scrubber, text: str) -> None:
    assert scrubber.text(text) == text


def test_an_id_has_one_placeholder_long_short_and_in_commands(scrubber: Scrubber) -> None:
    assert scrubber.text(f"{CONTAINER}\n", "container") == "<container-1>\n"
    assert scrubber.text(f"{OTHER[:12]}  Up", "container").startswith("<container-2>")
    assert scrubber.argv(["docker", "stop", CONTAINER[:12]]) == ("docker", "stop", "<container-1>")
    assert scrubber.value({"Id": f"sha256:{OTHER}", OTHER: [CONTAINER]}) == {
        "Id": "<container-2>",
        "<container-2>": ["<container-1>"],
    }


def test_a_digest_is_no_container(scrubber: Scrubber) -> None:
    assert scrubber.text(f"image sha256:{CONTAINER}", "container") == "image <digest-1>"
    assert scrubber.text(f"sha256:{OTHER}", "image") == "<image-1>"


def test_a_short_id_of_digits_only_is_known_by_its_long_form(scrubber: Scrubber) -> None:
    long = "123456789012" + "ab" * 26
    assert scrubber.text("123456789012") == "123456789012"
    scrubber.text(long, "container")
    assert scrubber.text("123456789012") == "<container-1>"


def test_an_id_the_author_typed_stays_as_it_is(scrubber: Scrubber) -> None:
    typed = ("docker", "pull", f"busybox@sha256:{CONTAINER}", "--mac", "02:42:ac:11:00:09")
    assert scrubber.argv(typed) == typed
    assert (
        scrubber.text(f"digest sha256:{CONTAINER} at 02:42:ac:11:00:09")
        == f"digest sha256:{CONTAINER} at 02:42:ac:11:00:09"
    )


def test_a_command_reads_the_same_whatever_was_seen_before_it(scrubber: Scrubber) -> None:
    # Replay sees commands only; a link-local address in one must come out as in the recording.
    seen = scrubber.fresh()
    seen.text("169.254.1.1 and 169.254.2.2")
    assert seen.argv(["curl", "169.254.9.9"]) == scrubber.argv(["curl", "169.254.9.9"]) == ("curl", "<link-local>")


def test_a_learned_id_is_called_what_it_is(scrubber: Scrubber) -> None:
    assert scrubber.learn(f"sha256:{CONTAINER}", "volume") == "<volume-1>"
    assert scrubber.text(CONTAINER[:12]) == "<volume-1>"


@pytest.mark.parametrize("name", ["root", "docker", "lab", "me", "ubuntu"])
def test_a_name_that_is_also_a_word_goes_only_beside_an_at(name: str) -> None:
    scrubber = Scrubber(names={name: "<user>"})
    assert scrubber.text(f"{name} run x; {name}@box; x@{name}") == f"{name} run x; <user>@box; x@<user>"


@pytest.mark.parametrize("place", ["/", "/root", "/tmp", ""])
def test_a_place_every_container_has_is_not_replaced(place: str) -> None:
    assert Scrubber({place: "<home>"}).text("HOME=/root PWD=/ /tmp/x") == "HOME=/root PWD=/ /tmp/x"


def test_kinds_of_ids_come_from_the_words_of_the_command() -> None:
    kinds = {
        "docker run -d x": "container",
        "docker container create x": "container",
        "docker build -q .": "image",
        "docker --debug network create n": "network",
        "docker inspect x": "id",
        "cat run": "container",
    }
    assert {command: kind_of_ids(command.split()) for command in kinds} == kinds


def test_fresh_numbers_start_over(scrubber: Scrubber) -> None:
    scrubber.text(CONTAINER, "container")
    assert scrubber.fresh().text(OTHER, "container") == "<container-1>"


PIECES = [
    *NASTY,
    *KEPT,
    CONTAINER,
    CONTAINER[:12],
    f"sha256:{OTHER}",
    "\n",
    " ",
    ":",
    "=",
    "<container-1>",
    "<user>@<host>",
    "é…\x00",
]


@pytest.mark.parametrize("seed", range(60))
def test_scrubbing_is_stable(seed: int) -> None:
    """For any mixture: again changes nothing, another computer's scrubber gives the same, and nothing leaks."""
    random_ = random.Random(seed)
    pieces = [random_.choice([*PIECES, "".join(random_.choices(string.printable, k=8))]) for _ in range(30)]
    text = " ".join(pieces)
    places = {"/home/ann": "<home>", "/var/lib/labs/lab-3f9a2c": "<run>"}
    first = Scrubber(places, {"annsbox": "<host>", "annie": "<user>"})
    scrubbed = first.text(text)
    assert first.text(scrubbed) == scrubbed
    assert first.text(text) == scrubbed
    moved = (
        text.replace("/home/ann/", "/Users/bob/").replace(CONTAINER[:12], "77aa77aa77aa").replace("annsbox.", "bobspc.")
    )
    second = Scrubber({**places, "/Users/bob": "<home>"}, {"bobspc": "<host>", "annsbox": "<host>", "annie": "<user>"})
    assert second.text(moved) == scrubbed
    assert not re.search(r"[0-9a-f]{64}|annie@|/home/ann/|lab-3f9a2c\b|BEGIN EC", scrubbed)


def test_values_stay_json(scrubber: Scrubber) -> None:
    value = {"n": 1, "f": 1.5, "t": True, "none": None, "list": [{"/home/ann/x": "annie@annsbox"}]}
    assert json.loads(json.dumps(scrubber.value(value))) == {
        "n": 1,
        "f": 1.5,
        "t": True,
        "none": None,
        "list": [{"<home>/x": "<user>@<host>"}],
    }


def test_the_uid_of_a_pod_is_one_in_a_cgroups_name_too() -> None:
    uid = "49067540-f15f-412a-838f-48c87994e522"
    scrubber = Scrubber()
    assert scrubber.text(f"uid {uid}") == "uid <uid-1>"
    assert scrubber.text(f"/kubepods/burstable/pod{uid}/x") == "/kubepods/burstable/pod<uid-1>/x"
    systemds = f"kubepods-burstable-pod{uid.replace('-', '_')}.slice:cri-containerd:{'0a' * 32}"
    assert scrubber.text(systemds) == "kubepods-burstable-pod<uid-1>.slice:cri-containerd:<id-1>"
    assert scrubber.text("podcast-12345678") == "podcast-12345678"


def test_an_id_that_was_cut_short_is_known_by_what_is_left_of_it(scrubber: Scrubber) -> None:
    uid = "7ff1f4d5-0e3c-4a58-9b7d-0c1d2e3f4a5b"
    assert scrubber.text(f"{CONTAINER} in pod {uid}") == "<id-1> in pod <uid-1>"
    for length in (4, 11, 12, 13, 40, 63):
        assert scrubber.text(f"cri-containerd:{CONTAINER[:length]}… (591 characters)") == (
            "cri-containerd:<id-1>… (591 characters)"
        )
    assert scrubber.text(f"debian@sha256:{CONTAINER[:30]}…") == "debian@<id-1>…"
    assert scrubber.text(f"kubepods-burstable-pod{uid[:20].replace('-', '_')}…") == "kubepods-burstable-pod<uid-1>…"


def test_what_only_looks_cut_short_stays(scrubber: Scrubber) -> None:
    scrubber.text(f"{CONTAINER} {CONTAINER[:6]}{OTHER[:58]}")
    for text in (f"{OTHER[:20]}…", f"{CONTAINER[:3]}…", f"{CONTAINER[:6]}…", f"{CONTAINER[:20]} …", "a cafe… or feed…"):
        assert scrubber.text(text) == text
