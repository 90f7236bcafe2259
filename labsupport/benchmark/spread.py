"""Numbers of several rounds: their middle and their range, and ratios within a round. Measures nothing."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The middle of some numbers (of an even count: halfway between the two in the middle), and their extremes."""

    median: float
    least: float
    most: float


def spread_of(values: Sequence[float]) -> Spread:
    """Return the spread of one or more numbers."""
    return Spread(statistics.median(values), min(values), max(values))


def paired(above: Mapping[int, float], below: Mapping[int, float]) -> dict[int, float]:
    """Return `above / below` for each round that has both; a round that lacks one says nothing."""
    return {number: above[number] / below[number] for number in sorted(above.keys() & below.keys())}
