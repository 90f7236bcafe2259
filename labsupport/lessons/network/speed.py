"""What a driver costs: reads the interleaved rounds of measure.sh, and tells round trips and rates as ratios."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from labsupport.display.figures import Figure, Limit, Measure, dots
from labsupport.display.markup import Shown, stack
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

DRIVERS = ("host", "bridge", "overlay")


@dataclass(frozen=True)
class Speed:
    """For each driver one value a round: microseconds of a round trip, and megabytes in a second."""

    round_trips: Mapping[str, tuple[int, ...]] = field(hash=False)
    rates: Mapping[str, tuple[int, ...]] = field(hash=False)
    origin: Origin = LIVE

    def round_trip_ratio(self, driver: str) -> float:
        """How long a round trip takes against host: the least of all rounds of each, which nothing else delayed."""
        return min(self.round_trips[driver]) / min(self.round_trips["host"])

    def figure(self) -> Shown:
        trips = self._drawn(
            "A round trip, against that on host in the same round", "the time of a round trip", self.round_trips,
            "times as long as on host",
        )  # fmt: skip
        rates = self._drawn(
            "Bytes in bulk, against those on host in the same round", "the megabytes in a second", self.rates,
            "times as many in a second as on host",
        )  # fmt: skip
        return self.origin.above(stack(trips.shown(), rates.shown(), self.table().shown()))

    def table(self) -> Table:
        columns: list[str | Column] = [
            "what", "driver", Column("rounds", "number"), Column("median", "number"), Column("least", "number"),
            Column("most", "number"), Column("median : host", "number"), Column("best : host", "number"),
        ]  # fmt: skip
        rows = [self._row(driver, "µs a round trip", self.round_trips, min) for driver in DRIVERS]
        rows += [self._row(driver, "MB in a second", self.rates, max) for driver in DRIVERS]
        return table("Host, bridge and overlay between two machines", columns, rows, header_columns=2)

    def _row(self, driver: str, what: str, values: Mapping[str, tuple[int, ...]], best: object) -> list[Cell]:
        choose = min if best is min else max
        own, host = values[driver], values["host"]
        return [
            what, driver, len(own), round(median(own)), min(own), max(own), median(own) / median(host),
            choose(own) / choose(host),
        ]  # fmt: skip

    def _drawn(self, title: str, of_what: str, values: Mapping[str, tuple[int, ...]], axis: str) -> Figure:
        measures = [
            Measure(driver, tuple(each / host for each, host in zip(values[driver], values["host"], strict=True)))
            for driver in DRIVERS
        ]
        return dots(
            title,
            measures,
            alt=f"Dots: for each driver {of_what} in each round, divided by that on the host network in the same "
            "round; a bar at the median.",
            axis=axis,
            unit="ratio",
            limit=Limit(1.0, "host"),
        )


def read_speed(step: Step) -> Speed:
    """Read lines “driver, microseconds, megabytes a second”.

    Raises:
        EvidenceError: a line is something else, or the drivers have not equally many.
    """
    trips: dict[str, list[int]] = {driver: [] for driver in DRIVERS}
    rates: dict[str, list[int]] = {driver: [] for driver in DRIVERS}
    for line in step.lines:
        words = line.split()
        if len(words) != 3 or words[0] not in DRIVERS or not all(word.isdigit() and int(word) for word in words[1:]):
            raise EvidenceError(step.command, f"no measurement: {line!r} {step.stderr[-300:]}", "run the cell again")
        trips[words[0]].append(int(words[1]))
        rates[words[0]].append(int(words[2]))
    if len({len(values) for values in trips.values()}) != 1 or not trips["host"]:
        counts = {driver: len(values) for driver, values in trips.items()}
        raise EvidenceError(
            step.command, f"not equally many rounds: {counts}; {step.stderr[-300:]}", "run the cell again"
        )
    return Speed(
        {driver: tuple(values) for driver, values in trips.items()},
        {driver: tuple(values) for driver, values in rates.items()},
        Origin.of(step),
    )
