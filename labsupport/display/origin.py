"""Says where an output comes from: live, recorded, with simulated parts. Replay never looks live."""

from dataclasses import dataclass
from typing import Protocol

from labsupport.display.markup import Markup, Shown, element, join, stack
from labsupport.display.style import AVAILABILITY, chip
from labsupport.experiments.steps import Recording


class Seen(Protocol):
    """Anything that knows whether it was recorded, and what in it was not the real thing."""

    @property
    def recorded(self) -> Recording | None: ...
    @property
    def simulated(self) -> tuple[str, ...]: ...


class Answering(Seen, Protocol):
    """Anything that answers, or would: a trial may be neither live nor recorded."""

    @property
    def is_live(self) -> bool: ...


@dataclass(frozen=True)
class Origin:
    """Where outputs come from.

    Args:
        recorded: None for what did not come from a recording.
        simulated: names the parts that were not real.
        missing: there is nothing live, and no recording either.
    """

    recorded: Recording | None = None
    simulated: tuple[str, ...] = ()
    missing: bool = False

    @classmethod
    def of(cls, seen: Seen) -> "Origin":
        return cls(seen.recorded, seen.simulated)

    @classmethod
    def of_trial(cls, trial: Answering) -> "Origin":
        """Where the outputs of a trial will come from, before there is one."""
        return cls(trial.recorded, trial.simulated, missing=not trial.is_live and trial.recorded is None)

    @property
    def is_plain(self) -> bool:
        """Live and all real: nothing has to be said."""
        return self.recorded is None and not self.simulated and not self.missing

    def line(self) -> Shown:
        """One short line for a single output: what is not live, what is not real; otherwise `live`."""
        return self._marks("" if self.recorded is None else " · ".join([self._day, *self.recorded.versions]))

    def badge(self) -> Shown:
        """As `line`, without the versions, which the banner has: for each of many outputs."""
        return self._marks(self._day)

    def above(self, shown: Shown) -> Shown:
        """Put the line above something made from what was seen, such as a table; a plain origin adds nothing."""
        line = self.line_unless_plain()
        return stack(line, shown) if line else shown

    def line_unless_plain(self) -> Shown | None:
        return None if self.is_plain else self.line()

    def mark(self, shown: Shown) -> Shown:
        """Put the badge above what does not tell its origin itself; a plain origin adds nothing."""
        return shown if shown.tells_origin or self.is_plain else stack(self.badge(), shown)

    @property
    def _day(self) -> str:
        return str(self.recorded.date) if self.recorded else ""

    def _marks(self, of_recording: str) -> Shown:
        words = [(AVAILABILITY["live"], "")]
        if self.missing:
            words = [(AVAILABILITY["unavailable"], "nothing is live here, and nothing was recorded of this")]
        if self.recorded:
            words = [(AVAILABILITY["recorded"], of_recording)]
        if self.simulated:
            words.append((AVAILABILITY["simulated"], ", ".join(self.simulated)))
        html = join((join([chip(mark), element("span", said) if said else None], " ") for mark, said in words), " ")
        text = " ".join(f"[{mark.word}{': ' + said if said else ''}]" for mark, said in words)
        return Shown(element("div", html, class_="lab-origin"), text, tells_origin=True)

    def banner(self) -> Shown:
        """What cannot be missed, above anything replayed or with simulated parts; empty for a live run of real ones."""
        if self.recorded is None:
            return self.line() if self.simulated else Shown(Markup(""), "")
        versions = ", ".join(self.recorded.versions) or "unknown versions"
        said = (
            f"What engines, clusters and their machines say below was recorded on {self.recorded.date} with "
            f"{versions}; none of them runs now. Words in <…> stand for names, addresses and paths that are others on "
            "every run."
        )
        rest = [f"Why: {self.recorded.reason}."] if self.recorded.reason else []
        rest += [f"Simulated parts: {', '.join(self.simulated)}."] if self.simulated else []
        html = element(
            "div",
            element("p", element("strong", "Recorded, not live"), " ", said),
            *(element("p", line) for line in rest),
            class_=f"lab-banner lab-hue-{AVAILABILITY['recorded'].hue}",
            role="note",
        )
        return Shown(html, "\n".join([f"=== RECORDED, NOT LIVE === {said}", *rest]), tells_origin=True)


LIVE = Origin()
