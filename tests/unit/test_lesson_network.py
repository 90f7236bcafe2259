"""What notebook 04 reads from its commands, predicts and explains: from texts and recordings, without an engine."""

import dataclasses
import itertools
from typing import Any

import pytest

from labsupport.errors import EvidenceError
from labsupport.experiments.exercises import Standing, judge
from labsupport.experiments.steps import Observation, Step
from labsupport.lessons.network import (
    macs_at,
    macs_in,
    new_rules,
    read_frames,
    read_reach,
    read_speed,
    repair,
)
from labsupport.lessons.network.exercise import FAULTS, Found
from labsupport.lessons.network.explorer import BY, KINDS, command, is_as_ruled
from labsupport.lessons.network.paths import predicted, seen
from labsupport.systems.network.tracing import passages
from tests.explorers import swept
from tests.scripted import ScriptedRunner

SLUG = "04-network-drivers"


def step(stdout: str, stderr: str = "", command: str = "docker ps") -> Step:
    return Step(f"{SLUG}/test", 1, tuple(command.split()), 0, stdout, stderr, 0.1)


class TestReach:
    inside = step(
        "mine-b mine-a address yes\nmine-b mine-a name yes\nmine-b other-a address no\nnone-b mine-a port no\n"
    )
    outside = step("outside mine-a port yes\noutside mine-a name no\n")

    def test_answers_of_inside_and_outside_stand_together(self) -> None:
        reach = read_reach(self.inside, self.outside)
        assert reach["mine", "mine", "name"]
        assert not reach["mine", "other", "address"]
        assert reach.reached("outside", "port") == ["mine"]
        assert reach.sources == ["mine", "none", "outside"]
        assert reach.ways("mine", "mine") == "address and name"
        assert reach.ways("none", "mine") == "no"

    def test_the_drawing_says_in_words_what_it_shows(self) -> None:
        figure = read_reach(self.inside, self.outside).figure()
        assert "3 of 6" in figure.alt
        assert "my bridge" in figure.table.text
        assert len(figure.table.rows) == 6

    @pytest.mark.parametrize("line", ["", "mine-b mine-a", "mine-b mine-a address maybe", "a b pigeon yes"])
    def test_anything_else_is_refused(self, line: str) -> None:
        with pytest.raises(EvidenceError):
            read_reach(step(line, stderr="Error: no such container"))


class TestSpeed:
    said = "host 40 1000\nbridge 60 800\noverlay 50 500\nhost 44 900\nbridge 55 950\noverlay 90 400\n"

    def test_the_least_of_all_rounds_is_compared(self) -> None:
        speed = read_speed(step(self.said))
        assert speed.round_trip_ratio("bridge") == 55 / 40
        assert speed.round_trips["overlay"] == (50, 90)
        assert "1.38" in speed.table().text

    def test_the_figure_has_a_ratio_for_each_round(self) -> None:
        assert "overlay" in read_speed(step(self.said)).figure().text

    @pytest.mark.parametrize("said", ["", "host 40", "host 0 10", "host x 10", "horse 1 1", "host 40 1\nbridge 60 1\n"])
    def test_half_a_measurement_is_none(self, said: str) -> None:
        with pytest.raises(EvidenceError):
            read_speed(step(said))


class TestSeen:
    def test_addresses_are_found_fresh_and_scrubbed(self) -> None:
        fresh = step("2: eth0@if5: <UP> link/ether 6e:19:a4:50:12:55 brd ff:ff:ff:ff:ff:ff link-netnsid 0")
        assert macs_in(fresh) == ["6e:19:a4:50:12:55"]
        assert macs_in(step("link/ether <mac-3> brd ff:ff:ff:ff:ff:ff")) == ["<mac-3>"]
        assert macs_in(step("lo: link/loopback 00:00:00:00:00:00")) == []

    def test_a_switch_learns_addresses_at_its_ports(self) -> None:
        table = step(
            "de:de:e2:f7:b9:cf dev outer master switch \n02:9e:9b:da:30:a7 dev alpha master switch \n"
            "<mac-2> dev alpha master switch \nba:72:4c:c7:e0:3d dev alphabet master switch \n"
        )
        assert macs_at(table, "alpha") == ["02:9e:9b:da:30:a7", "<mac-2>"]

    def test_new_rules_are_told_with_their_table_and_meaning(self) -> None:
        before = step("*filter\n:INPUT ACCEPT [0:0]\n-A FORWARD -j DOCKER-USER\nCOMMIT\n")
        after = step(
            "*raw\n-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP\nCOMMIT\n*filter\n-A FORWARD -j DOCKER-USER\n"
            "COMMIT\n*nat\n-A DOCKER ! -i docker0 -p tcp --dport 8001 -j DNAT --to-destination 172.17.0.2:80\nCOMMIT\n"
        )
        added = new_rules(before, after)
        assert [rule.split()[0] for rule in added.rules] == ["raw", "nat"]
        text = added.shown().text
        assert "anywhere but its own bridge" in text
        assert "the container's address and port instead" in text

    def test_frames_are_chosen_by_header_and_by_readable_text(self) -> None:
        def frame(text: str, *names: str) -> dict[str, Any]:
            layers = [{"name": name, "start": 0, "length": 1, "fields": {}} for name in names]
            return {"seconds": 0.0, "bytes": text.encode().hex(" "), "layers": layers}

        value = [frame("hidden", "Ethernet", "ESP"), frame("the-books", "Ethernet", "VXLAN")]
        frames = read_frames(Observation(f"{SLUG}/test", "frames", value))
        assert (len(frames.having("ESP")), len(frames.saying("the-books")), len(frames.saying("hid-"))) == (1, 1, 0)
        assert "the-books" not in frames.saying("the-books").figure("A frame", "A strip of its headers.").text
        with pytest.raises(EvidenceError, match="no such frame"):
            frames.having("GRE").figure("None", "Nothing at all is drawn.")


class TestTrace:
    machine = (
        "tcpdump: listening on any, link-type LINUX_SLL2\n"
        "100.000002 veth1 In  IP 172.17.0.3.41000 > 10.200.0.2.8002: Flags [S], seq 1, length 0\n"
        "100.000003 docker0 In  IP 172.17.0.3.41000 > 172.19.0.2.8080: Flags [S], seq 1, length 0\n"
        "100.000004 br-mine Out IP 172.19.0.1.41000 > 172.19.0.2.8080: Flags [S], seq 1, length 0\n"
        "100.000005 veth2 Out IP 172.19.0.1.41000 > 172.19.0.2.8080: Flags [S], seq 1, length 0\n"
        "101.000005 veth2 Out IP 172.19.0.1.41000 > 172.19.0.2.8080: Flags [S], seq 1, length 0\n"
        "1 packet captured\n"
    )
    container = "100.000001 eth0  Out IP 172.17.0.3.41000 > 10.200.0.2.8002: Flags [S], seq 1, length 0\n"
    other = (
        "100.000006 eth0  In  IP 172.19.0.1.41000 > 172.19.0.2.8080: Flags [S], seq 1, length 0\n"
        "100.000007 eth0  Out IP 172.19.0.2.8080 > 172.19.0.1.41000: Flags [S.], seq 2, ack 2, length 0\n"
    )

    def trace(self) -> list[dict[str, Any]]:
        texts = {"alpha": self.machine, "bridge-b": self.container, "mine-a": self.other}
        return passages((name, text.splitlines()) for name, text in texts.items())

    def test_lines_of_several_listeners_are_one_path_in_the_order_of_time(self) -> None:
        path = self.trace()
        assert [(each["space"], each["link"]) for each in path][:3] == [
            ("bridge-b", "eth0"), ("alpha", "veth1"), ("alpha", "docker0"),
        ]  # fmt: skip
        assert path[2]["to"] == "172.19.0.2:8080"
        assert path[-1]["what"] == "SYN ACK"
        assert len(path) == 7

    def test_stations_are_those_of_the_first_packet(self) -> None:
        way = predicted("bridge", "mine", "published port")
        assert seen(self.trace()) == way.stations
        assert is_as_ruled(way, seen(self.trace()), answered=True)
        assert not is_as_ruled(way, seen(self.trace())[:-1], answered=True)

    def test_nothing_and_noise_are_no_path(self) -> None:
        assert passages([("alpha", ["", "listening", "1.0 eth0 In IP6 ::1.1 > ::1.2: Flags [S]"])]) == []
        assert seen([]) == ()


class TestPredictions:
    @pytest.mark.parametrize(("source", "target", "by"), list(itertools.product(KINDS, KINDS, BY)))
    def test_every_position_is_predicted_and_explained(self, source: str, target: str, by: str) -> None:
        way = predicted(source, target, by)
        assert way.because.endswith(".")
        assert way.stations or not way.answered
        assert source != "none" or (way.stations, way.answered) == ((), False)
        assert target != "none" or not way.answered

    def test_a_position_is_a_command(self) -> None:
        known = {"host": ("10.200.0.2", "8007"), "mine": ("172.19.0.2", "8002"), "none": ("-", "8003")}

        def at(source: str, target: str, by: str) -> str:
            return command({"from": source, "to": target, "by": by}, known)

        assert at("host", "mine", "address").endswith(
            "docker exec host-b timeout 1 wget -q -O - http://172.19.0.2:8080/"
        )
        assert at("mine", "mine", "name").endswith("http://mine-a:8080/")
        assert at("none", "mine", "published port").endswith("http://10.200.0.2:8002/")
        assert at("mine", "none", "address").startswith("docker inspect")


def test_in_all_positions_of_the_widget_the_packet_took_the_way_that_was_predicted() -> None:
    _, attempts = swept(SLUG)
    assert [attempt.error for attempt in attempts if attempt.error] == []
    against = [attempt.position for attempt in attempts if attempt.played.shown.rows[1][3] is not True]  # type: ignore[union-attr,attr-defined]
    assert (len(attempts), against) == (108, [])


GOOD = Found(
    0,
    {"web": "web", "db": "db", "guest": "guest"},
    {
        "web": {"front": "172.18.0.2", "back": "172.19.0.3"},
        "db": {"back": "172.19.0.2"},
        "guest": {"front": "172.18.0.3"},
    },
    resolves_to="172.19.0.2",
    web_gets="the books",
)
APART = {**GOOD.networks, "web": {"front": "172.18.0.2"}}
WRONG = {
    "no guest": ({"names": {"web": "web", "db": "db"}}, "all three run", "role=guest"),
    "apart": ({"networks": APART}, "they share a network", "web is on front, db on back"),
    "default bridge": (
        {"networks": {"web": {"bridge": "1"}, "db": {"bridge": "2"}, "guest": {}}, "resolves_to": ""},
        "web knows the name db",
        "no names for each other",
    ),
    "another name": (
        {"names": {**GOOD.names, "db": "database"}, "resolves_to": ""},
        "web knows the name db",
        "the container is called database",
    ),
    "silence": ({"web_gets": ""}, "db answers web", "docker network inspect back"),
    "guest too": ({"guest_gets": ("172.18.0.4",)}, "nobody else reaches db", "guest, at 172.18.0.4"),
    "published": ({"published": "port 5432 of the machine"}, "nobody else reaches db", "everybody, at port 5432"),
}


class TestExercise:
    exercise = repair(ScriptedRunner({}), seed=0)

    @pytest.mark.parametrize(("changed", "unmet", "words"), WRONG.values(), ids=WRONG.keys())
    def test_each_wrong_state_has_a_next_step_of_its_own(self, changed: dict[str, Any], unmet: str, words: str) -> None:
        outcome = judge(self.exercise, dataclasses.replace(GOOD, **changed))
        assert (outcome.standing, outcome.unmet) == (Standing.NOT_YET, unmet)
        assert words in outcome.message

    def test_the_repaired_network_passes(self) -> None:
        assert judge(self.exercise, GOOD).passed

    def test_nothing_made_and_nothing_changed_are_not_attempts(self) -> None:
        assert judge(self.exercise, Found(0)).standing is Standing.NOT_STARTED
        untouched = dataclasses.replace(GOOD, networks=APART, resolves_to="", web_gets="")
        assert untouched.signature == FAULTS[0]
        assert judge(self.exercise, untouched).standing is Standing.NOT_STARTED

    def test_every_seed_is_one_of_five_faults(self) -> None:
        faults = {repair(ScriptedRunner({"docker ps": (0, "", "")}), seed).look().fault for seed in range(5)}
        assert faults == set(range(len(FAULTS)))
