"""Notebook 02's readers, and the decisions of its widget and exercise, on what commands really printed."""

import pytest

from labsupport.errors import EvidenceError
from labsupport.experiments.exercises import judge
from labsupport.experiments.steps import Observation, Step
from labsupport.lessons import logs
from labsupport.lessons.logs import delivery, exercise, explorer, loss
from labsupport.project import this_project
from tests.scripted import ScriptedRunner

BOTH = ["to stderr", "to stdout"]
REFUSAL = (
    "Error response from daemon: failed to create task for container: failed to initialize logging driver: "
    "dial tcp 127.0.0.1:9: connect: connection refused"
)
PRINTED = {
    "json-file": '{"log":"to stderr\\n","stream":"stderr","attrs":{"STAGE":"test","app":"shop"},"time":"t"}\n'
    '{"log":"to stdout\\n","stream":"stdout","attrs":{"STAGE":"test","app":"shop"},"time":"t"}',
    "local": "to stderr\nSTAGE\ntest\napp\nshop\nto stdout\nSTAGE\ntest\napp\nshop",
    "syslog": "Nov 23 21:15:05 lab daemon.info where-syslog[2]: to stdout\n"
    "Nov 23 21:15:05 lab daemon.err where-syslog[2]: to stderr",
    "journald": '{"MESSAGE":"to stdout","PRIORITY":"6","APP":"shop","STAGE":"test","__CURSOR":"x"}\n'
    '{"MESSAGE":"to stderr","PRIORITY":"3","APP":"shop","STAGE":"test"}',
    "fluentd": '{"tag": "t", "log": "to stdout", "app": "shop", "STAGE": "test", "source": "stdout"}\n'
    '{"tag": "t", "log": "to stderr", "app": "shop", "STAGE": "test", "source": "stderr"}',
    "gelf": '{"over": "udp", "short_message": "to stdout", "level": 6, "_app": "shop", "_STAGE": "test"}\n'
    '{"over": "udp", "short_message": "to stderr", "level": 3, "_app": "shop", "_STAGE": "test"}',
    "splunk": '{"event": {"line": "to stdout", "source": "stdout", "attrs": {"STAGE": "test", "app": "shop"}}}\n'
    '{"event": {"line": "to stderr", "source": "stderr", "attrs": {"STAGE": "test", "app": "shop"}}}',
    "awslogs": '{"group": "lab", "stream": "x", "message": "to stdout"}\n'
    '{"group": "lab", "stream": "x", "message": "to stderr"}',
}


def step(stdout: str, *, stderr: str = "", exit_code: int = 0) -> Step:
    return Step("02-log-drivers/test", 1, ("sh", "-c", "x"), exit_code, stdout, stderr, 0.1)


# ---- where the lines went --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", PRINTED)
def test_both_lines_are_found_in_what_each_collector_writes(driver: str) -> None:
    found = delivery.delivery_of(driver, step(PRINTED[driver]))
    assert found.texts == BOTH
    assert found.is_complete
    assert found.has_label_and_variable == (driver not in ("syslog", "awslogs"))


@pytest.mark.parametrize(
    ("driver", "line", "came_along"),
    [
        ("syslog", "Nov 23 21:15:05 lab daemon.info tagged/shop/test[2]: to stdout", True),
        ("syslog", "Nov 23 21:15:05 test daemon.info tagged/shop[2]: to stdout", False),
        ("awslogs", '{"group": "lab", "stream": "shop/test", "message": "to stdout"}', True),
        ("awslogs", '{"group": "lab", "stream": "shop", "message": "a test"}', False),
        ("local", "to stdout\napp\nshop", False),
        ("local", "to stdout\nshop\ntest", False),
    ],
)
def test_label_and_variable_come_along_as_a_part_of_a_name_or_not_at_all(
    driver: str, line: str, came_along: bool
) -> None:
    found = logs.read_deliveries([step(""), step("")], [step(""), step("")], {driver: step(line)})
    assert found.with_label_and_variable == ([driver] if came_along else [])


@pytest.mark.parametrize("driver", [driver for driver in PRINTED if driver != "awslogs"])
def test_streams_are_told_apart(driver: str) -> None:
    assert logs.lines_of(driver, step(PRINTED[driver])) == logs.SAID


@pytest.mark.parametrize("driver", PRINTED)
def test_a_line_that_is_missing_is_missed(driver: str) -> None:
    found = delivery.delivery_of(driver, step(PRINTED[driver].splitlines()[0]))
    assert not found.is_complete
    assert delivery.delivery_of(driver, step("")).texts == []


@pytest.mark.parametrize("driver", ["json-file", "journald", "fluentd", "gelf", "splunk", "awslogs"])
@pytest.mark.parametrize("garbage", ["not JSON", "{}", "[]", "7"])
def test_what_no_collector_writes_is_an_error(driver: str, garbage: str) -> None:
    with pytest.raises(EvidenceError):
        delivery.delivery_of(driver, step(garbage))


def test_docker_logs_is_read_with_and_without_the_copy() -> None:
    read = step("json-file | to stdout;to stderr;\nsyslog | to stdout;to stderr;\nnone | Error: nothing")
    bare = step(f"json-file | to stdout;to stderr;\nsyslog | Error response from daemon: {delivery.NOT_READABLE};")
    found = logs.read_deliveries(
        [read, step("to stdout")], [bare, step("to stdout")], {"syslog": step(PRINTED["syslog"])}
    )
    assert found.readable == ("json-file", "syslog", "journald")
    assert found.readable_without_copy == ("json-file", "journald")
    assert found.texts("syslog") == BOTH
    assert "severity" in found.table().text and "/var/log/syslog" in found.table().text


def test_lines_that_are_nowhere_are_said_to_be() -> None:
    found = logs.read_deliveries([step(""), step("")], [step(""), step("")], {"syslog": step(""), "none": step("")})
    assert found.table().text.count("nowhere") == 2


# ---- starting --------------------------------------------------------------------------------------------------------


def test_answers_are_told_apart_and_lose_the_engine_s_wrapping() -> None:
    answers = logs.read_answers(step(f"gelf, UDP | started\nfluentd | {REFUSAL}"), "title")
    assert (answers.started, answers.refused) == (["gelf, UDP"], ["fluentd"])
    assert answers["fluentd"].startswith("dial tcp 127.0.0.1:9")
    assert "connection refused" in answers.table().text


@pytest.mark.parametrize("line", ["fluentd", "fluentd | ", "Cannot connect to the Docker daemon"])
def test_a_line_without_an_answer_is_an_error(line: str) -> None:
    with pytest.raises(EvidenceError):
        logs.read_answers(step(line), "title")


# ---- rotation, stalls, deaths ----------------------------------------------------------------------------------------


def test_rotation_is_sorted_by_lines_and_knows_its_peak() -> None:
    found = logs.read_rotation(step("rotate-never 1 10\nrotate-50m-1 2 90\nrotate-50m-1 1 50\nrotate-50m-1 3 20"))
    assert found.samples["rotate-50m-1"] == ((1, 50), (2, 90), (3, 20))
    assert found.most_bytes("rotate-50m-1") == 90
    assert "max-size=50m, max-file=1" in found.figure().text


@pytest.mark.parametrize("text", ["", "rotate-never 1", "rotate-never one 10"])
def test_no_samples_are_an_error(text: str) -> None:
    with pytest.raises(EvidenceError):
        logs.read_rotation(step(text))


@pytest.mark.parametrize(
    ("ranges", "count", "missing"),
    [("1-300", 300, ""), ("1-80 82-300", 299, "81"), ("1-80 101-250", 230, "81-100, 251-300"), ("", 0, "1-300")],
)
def test_missing_lines_are_named(ranges: str, count: int, missing: str) -> None:
    found = loss.arrived_of(ranges.split(), "arrived.sh")
    assert (found.count, found.missing(300)) == (count, missing)


@pytest.mark.parametrize("word", ["7", "a-b", "1-", "-"])
def test_what_is_no_range_is_an_error(word: str) -> None:
    with pytest.raises(EvidenceError):
        loss.arrived_of([word], "arrived.sh")


def test_a_stall_is_counted_from_the_first_line() -> None:
    waiting = [step("10.0 100\n10.1 200\n13.0 300\n"), step("1-300"), step("300")]
    going_on = [step("10.1 100\n10.2 200\n10.3 300\n"), step("1-100\n201-300"), step("300")]
    found = logs.read_stall(step("stalled 11.0\nresumed 13.0\n"), blocking=waiting, non_blocking=going_on)
    assert (found.since, found.until) == (1.0, 3.0)
    assert (found.written_in("blocking"), found.written_in("non-blocking")) == (100, 0)
    assert (found["blocking"].lost, round(found["blocking"].longest_pause, 1)) == (0, 2.9)
    assert (found["non-blocking"].lost, round(found["non-blocking"].longest_pause, 1)) == (100, 0.1)
    assert "101-200" in found.figure().text


@pytest.mark.parametrize(("when", "progress"), [("", "1.0 1\n2.0 2"), ("stalled 1\nresumed 2", "1.0 1")])
def test_a_stall_without_its_numbers_is_an_error(when: str, progress: str) -> None:
    with pytest.raises(EvidenceError):
        logs.read_stall(step(when), blocking=[step(progress), step("1-2"), step("2")])


def test_deaths_name_the_drivers_that_lost_lines() -> None:
    found = logs.read_deaths(step("fluentd | 1-75 77-300 | 300\ngelf-tcp | 1-300 | 300\nsyslog-udp |  | 300"))
    assert found.with_losses == ["fluentd", "syslog-udp"]
    assert "76" in found.table().text


# ---- a long line on the wire -----------------------------------------------------------------------------------------


def captured(*packets: tuple[int, str]) -> Observation:
    """Packets of so many bytes, each with what its last header is called."""
    frames = [
        {"bytes": " ".join(["00"] * length), "layers": [{"name": name, "start": 0, "length": length, "fields": {}}]}
        for length, name in packets
    ]
    return Observation("02-log-drivers/test", "captured", frames)


def test_packets_that_carry_nothing_do_not_count() -> None:
    sent = logs.read_wire({"random tcp": captured((74, "TCP"), (900, "data"))}, step("random-tcp 1 1 1 1"))
    assert (sent.packets("random tcp"), sent["random tcp"].lengths) == (1, [900])
    assert "1 packet, long line arrives" in sent.figure("One line").text


def test_a_line_that_lacks_a_chunk_is_gone_there_and_whole_in_the_copy() -> None:
    seen = {"lost udp": captured((300, "data"), (1400, "data")), "lost tcp": captured((300, "data"))}
    sent = logs.read_wire(seen, step("lost-udp 2 0 3 1\nlost-tcp 3 1 3 0"))
    assert sent.whole == ["lost tcp"]
    udp, tcp = sent["lost udp"], sent["lost tcp"]
    assert (udp.collector.lines, udp.engine.lines, udp.engine.whole, tcp.engine.whole) == (2, 3, True, False)
    figure = sent.figure("Three lines").text
    assert "lost udp: 2 packets, long line lost; lost tcp: 1 packet, long line arrives." in figure
    assert "1700" in figure


def carrying(*packets: tuple[str, str]) -> Observation:
    """Packets, each with which chunk it says it is, or nothing, and what it carries."""
    frames = []
    for chunk, content in packets:
        header = {"name": "GELF chunk", "start": 2, "length": 2, "fields": {"chunk": chunk}}
        layers = [{"name": "UDP", "start": 0, "length": 2, "fields": {}}, *([header] if chunk else [])]
        start = 4 if chunk else 2
        data = {"name": "data", "start": start, "length": len(content), "fields": {}}
        part = chunk.partition(" ")[0].encode() or b"\0"
        carried = (b"\x1e" + part if chunk else b"") + content.encode()
        bytes_of_frame = (len(frames).to_bytes(2, "big") + carried).hex(" ")
        frames.append({"bytes": bytes_of_frame, "layers": [*layers, data]})
    return Observation("02-log-drivers/test", "captured", frames)


@pytest.mark.parametrize(
    ("packets", "again"),
    [
        # Chunks of one line may carry the same; their headers differ.
        ([("1 of 3", "000"), ("2 of 3", "000"), ("3 of 3", "000")], 0),
        ([("1 of 3", "000"), ("2 of 3", "000"), ("3 of 3", "000"), ("2 of 3", "000")], 1),
        ([("", "first"), ("", "long"), ("", "last")], 0),
        ([("", "first"), ("", "long"), ("", "last"), ("", "long")], 1),
        ([("", "first"), ("", "long"), ("", "last"), ("", "longlast")], 1),
    ],
)
def test_what_was_sent_again_is_counted(packets: list[tuple[str, str]], again: int) -> None:
    sent = logs.read_wire({"lost udp": carrying(*packets)}, step("lost-udp 2 0 3 1"))["lost udp"]
    assert sent.sent_again == again
    assert sent.chunks == [chunk for chunk, _ in packets if chunk]


@pytest.mark.parametrize("said", ["", "other 1 1 1 1", "random-tcp 1 1 1", "random-tcp 1 1 1 one"])
def test_what_whole_sh_does_not_print_is_an_error(said: str) -> None:
    with pytest.raises(EvidenceError):
        logs.read_wire({"random tcp": captured((900, "data"))}, step(said))


def test_one_packet_is_shown_and_one_that_was_not_captured_is_an_error() -> None:
    seen = captured((20, "TCP"), (90, "data"), (50, "data"))
    sent = logs.read_wire({"random tcp": seen}, step("random-tcp 1 1 1 1"))
    assert "90 bytes" in sent.packet("random tcp", 1).text
    for number in (0, 3):
        with pytest.raises(EvidenceError):
            sent.packet("random tcp", number)


# ---- the widget ------------------------------------------------------------------------------------------------------


def fate(pause: float, arrived: str) -> explorer.Fate:
    text = f"written: 4000\nlongest pause: {pause}\narrived: {arrived}\ndocker logs: 4000"
    return explorer.read_fate(step(text))


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (fate(0.1, "1-4000"), "nothing is lost, nobody waits"),
        (fate(2.1, "1-4000"), "the container is held up, nothing is lost"),
        (fate(0.1, "1-1992"), "lines are lost, the container goes on"),
        (fate(4.0, "1-800"), "the container is held up, and lines are lost"),
        (fate(0.1, ""), "lines are lost, the container goes on"),
        (explorer.read_fate(step(f"refused: {REFUSAL}")), explorer.REFUSED),
    ],
)
def test_a_fate_has_one_of_five_outcomes(seen: explorer.Fate, outcome: str) -> None:
    assert seen.outcome == outcome


@pytest.mark.parametrize("text", ["", "written: 4000", "written: \nlongest pause: 0\narrived: 1-2\ndocker logs: 0"])
def test_a_fate_that_is_not_told_is_an_error(text: str) -> None:
    with pytest.raises(EvidenceError):
        explorer.read_fate(step(text))


def test_every_position_has_an_explanation_for_whatever_comes() -> None:
    for driver in explorer.DRIVERS:
        for state in explorer.STATES:
            for mode in explorer.MODES:
                position = {"driver": driver, "the collector": state, "mode": mode}
                for seen in (fate(0.1, "1-4000"), explorer.Fate(refused="no")):
                    assert explorer.explanation(position, seen).endswith(".")


# ---- the exercise ----------------------------------------------------------------------------------------------------


def attempt(number: int, **seen: object) -> exercise.Attempt:
    return exercise.Attempt("docker run …", exercise.FAULTS[number], **seen)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "unmet"),
    [
        (attempt(0, said="connection refused"), "it starts"),
        (attempt(0, driver="json-file", arrived=True), "the driver is the same"),
        (attempt(0, driver="fluentd", options={"fluentd-async": "true"}), "the options it needs are there"),
        (attempt(2, driver="json-file", options={"max-size": "10m"}, arrived=True), "the options it needs are there"),
        (attempt(0, driver="fluentd"), "its line arrives"),
        (attempt(0, driver="fluentd", arrived=True), None),
        (attempt(1, driver="json-file", options={"max-size": "10m"}, arrived=True), None),
    ],
)
def test_the_first_unmet_requirement_speaks(seen: exercise.Attempt, unmet: str | None) -> None:
    made = exercise.will_not_start(ScriptedRunner({}), 0)
    assert judge(made, seen).unmet == unmet


def test_every_fault_has_its_script_and_a_seed() -> None:
    there = this_project().assets / "02-log-drivers" / "exercise"
    assert sorted(path.name for path in there.glob("shop-*.sh")) == [fault.script for fault in exercise.FAULTS]
