"""The widget: one workload under limits of memory, processor time and processes, watched while it runs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.display.figures import Figure, Limit, Line, lines
from labsupport.display.markup import Shown, element, stack
from labsupport.display.origin import Origin
from labsupport.display.tables import table
from labsupport.experiments.trial import Trial
from labsupport.lessons.cgroups.hierarchies import Engines
from labsupport.process.waiting import wait_until

NONE = "no limit"
MEMORY = (NONE, "128m", "48m")
CPUS = (NONE, "0.25")
PIDS = (NONE, "8")
ENDED, KILLED, NO_FORK = "it runs to its end", "killed: out of memory", "cannot start a process"
WORKLOAD = Path("assets/01-cgroup-drivers/workload.sh")
NAME = "limited"
MEGABYTE = 1_000_000
OUT_OF_MEMORY, FORK_FAILED = 137, 2
# With a quarter of a core it takes half a minute; several, on a slow computer with much else to do.
WITHIN_SECONDS = 240.0
ENDING = "the end of the workload"

Record = dict[str, Any]
# [seconds, megabytes, processor seconds, processes, throttled periods], one after the other.
Samples = list[list[float]]


def limits_explorer(trial: Trial, lab: Engines) -> Explorer:
    """Make the widget; its containers run in `trial`, on the lab's engine."""

    def play(position: Position) -> Played:
        name = " ".join([NAME, *position.values()])

        def draw(samples: Samples) -> None:
            explorer.show_meanwhile(lambda: _drawn_so_far(samples, position))

        record = trial.observe(name, lambda: watch(lab.engine.client, position, draw), repeatable=True).value
        return Played(_drawn(record, position), outcome(record), explanation(record, position))

    explorer = Explorer(
        "What will the limits do?",
        {"memory": MEMORY, "cpus": CPUS, "pids": PIDS},
        play,
        question=Question("How does the workload end?", (ENDED, KILLED, NO_FORK)),
        preview=command,
        origin=Origin.of_trial(trial),
    )
    return explorer


def command(position: Position) -> str:
    """The command that a position stands for."""
    flags = {"memory": "--memory", "cpus": "--cpus", "pids": "--pids-limit"}
    given = [f"{flags[name]} {value}" for name, value in position.items() if value != NONE]
    return " ".join(["docker run", *given, "--name", NAME, "lab/toolbox", "sh", WORKLOAD.name])


def watch(client: Any, position: Position, draw: Callable[[Samples], None] = lambda samples: None) -> Record:
    """Run the workload with these limits; read what the engine counts for it until it ends.

    Args:
        draw: gets the samples so far, again and again. They are taken meanwhile, however long it takes.

    Returns:
        {"samples": as in `Samples`, from 0 seconds on, "exit_code", "oom"}
    """
    limits: Record = {}
    if position["memory"] != NONE:
        limits |= {"mem_limit": position["memory"], "memswap_limit": position["memory"]}
    if position["cpus"] != NONE:
        limits["nano_cpus"] = int(float(position["cpus"]) * 1e9)
    if position["pids"] != NONE:
        limits["pids_limit"] = int(position["pids"])
    script = WORKLOAD.read_text(encoding="utf-8")
    container = client.containers.create("lab/toolbox", ["sh", "-c", script], name=NAME, **limits)
    try:
        container.start()
        samples: Samples = []
        stopped = Event()

        def drawn_to_the_end() -> bool:
            if samples:
                draw(list(samples))
            return sampling.done()

        with ThreadPoolExecutor(1) as beside:
            sampling = beside.submit(_sample_to_its_end, client, container, samples, stopped)
            try:
                wait_until(drawn_to_the_end, ENDING, within_seconds=WITHIN_SECONDS)
            finally:
                stopped.set()
            sampling.result()
        state = container.attrs["State"]
        return {"samples": _from_zero(samples), "exit_code": state["ExitCode"], "oom": state["OOMKilled"]}
    finally:
        container.remove(force=True)


def _sample_to_its_end(client: Any, container: Any, samples: Samples, stopped: Event) -> None:
    def ended() -> bool:
        counted = client.api.stats(container.id, stream=False, one_shot=True)
        if counted.get("pids_stats", {}).get("current"):
            samples.append(_sample(counted, samples))
        container.reload()
        return str(container.status) == "exited" or stopped.is_set()

    wait_until(ended, ENDING, within_seconds=WITHIN_SECONDS, every_seconds=0.02)


def outcome(record: Record) -> str:
    """How it ended, in the words of the question."""
    if record["oom"]:
        return KILLED
    return NO_FORK if record["exit_code"] == FORK_FAILED else ENDED


def explanation(record: Record, position: Position) -> str:
    """Say which limit was met, and what the kernel did then."""
    said = {
        KILLED: f"The workload wants 80 MB. At {position['memory']} the kernel has no more to give, and kills.",
        NO_FORK: f"The workload wants 12 processes. With {position['pids']} in its cgroup, the next fork fails; "
        "the shell gives up.",
        ENDED: "It has met no limit that ends it.",
    }[outcome(record)]
    throttled = max((sample[4] for sample in record["samples"]), default=0)
    if throttled:
        said += f" Processor time is never refused, only late: it had to wait in {throttled:g} periods."
    return said


def _sample(counted: Record, before: Samples) -> list[float]:
    cpu = counted["cpu_stats"]
    seconds = _seconds_of(str(counted["read"]))
    # A new day would begin at 0 again.
    seconds += 86400 if before and seconds < before[-1][0] else 0
    return [
        seconds,
        counted["memory_stats"].get("usage", 0) / MEGABYTE,
        cpu["cpu_usage"]["total_usage"] / 1e9,
        counted["pids_stats"]["current"],
        cpu.get("throttling_data", {}).get("throttled_periods", 0),
    ]


def _told(samples: Samples) -> Shown:
    """The last sample in words."""
    seconds, megabytes, processor, processes, throttled = samples[-1]
    waited = f", had to wait in {throttled:g} periods" if throttled else ""
    said = (
        f"{seconds - samples[0][0]:.1f} s: {megabytes:.0f} MB, {processes:g} processes, "
        f"{processor:.1f} s of processor time{waited}"
    )
    return Shown(element("p", said), said)


def _seconds_of(read: str) -> float:
    """Seconds of the day, from a time such as 2026-11-23T21:08:24.548123298Z."""
    hours, minutes, seconds = read.partition("T")[2].removesuffix("Z").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _from_zero(samples: Samples) -> Samples:
    return [[round(at - samples[0][0], 3), *(round(value, 3) for value in rest)] for at, *rest in samples]


def _drawn(record: Record, position: Position) -> Shown:
    drawn = _curves(record["samples"], position)
    if not drawn:
        return Shown(table("Too short to watch", ["exit code"], [[record["exit_code"]]]).html, "it ended at once")
    return stack(*(figure.shown() for figure in drawn))


def _drawn_so_far(samples: Samples, position: Position) -> Shown:
    return stack(_told(samples), *(figure.sketch() for figure in _curves(_from_zero(samples), position)))


def _curves(samples: Samples, position: Position) -> list[Figure]:
    """A curve for each thing that is counted; none before there are two samples."""
    if len(samples) < 2:
        return []
    curves = (
        ("Memory", "megabytes", 1, _limit(position["memory"].removesuffix("m"), 1.048576)),
        ("Processor time used", "seconds", 2, None),
        ("Processes", "processes", 3, _limit(position["pids"])),
    )
    return [_curve(title, unit, samples, column, limit) for title, unit, column, limit in curves]


def _limit(text: str, unit: float = 1) -> Limit | None:
    return Limit(float(text) * unit, "limit") if text != NONE else None


def _curve(title: str, unit: str, samples: Samples, column: int, limit: Limit | None) -> Figure:
    values = [sample[column] for sample in samples]
    twin = table(
        title,
        ["", unit],
        [["at the start", values[0]], ["most", max(values)], ["at the end", values[-1]], ["seconds", samples[-1][0]]],
    )
    return lines(
        title,
        [Line(title.lower(), tuple((sample[0], sample[column]) for sample in samples))],
        alt=f"One curve over time: {title.lower()} of the workload, in {unit}, at most {max(values):.0f}.",
        x="seconds",
        y=unit,
        twin=twin,
        limit=limit,
    )
