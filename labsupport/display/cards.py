"""The lab card on top of a notebook: what is live, recorded, unavailable; versions, addresses. It finds out nothing."""

from dataclasses import dataclass

from labsupport.display.markup import Shown, element, join, prose
from labsupport.display.origin import LIVE, Origin
from labsupport.display.style import AVAILABILITY, chip, style_element
from labsupport.display.tables import facts


@dataclass(frozen=True)
class Part:
    """One part of a lab.

    Args:
        name: "Docker engine", "Kubernetes cluster".
        state: "live", "recorded", "simulated", "unavailable" or "unneeded".
        what: the version or the kind of it.
        because: why it is not live; for a state that is neither "live" nor "unneeded".
        change_it: what the reader can do about that.
    """

    name: str
    state: str
    what: str = ""
    because: str = ""
    change_it: str = ""

    def __post_init__(self) -> None:
        if self.state not in AVAILABILITY:
            raise ValueError(f"{self.name}: unknown state {self.state!r}, not one of {', '.join(AVAILABILITY)}")
        if self.state not in ("live", "unneeded") and not self.because:
            raise ValueError(f"{self.name} is {self.state}: say why")


@dataclass(frozen=True)
class Card:
    """What a learner reads before the first experiment."""

    lab: str
    notebook: str
    parts: tuple[Part, ...]
    addresses: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    origin: Origin = LIVE
    seconds: float | None = None

    def shown(self) -> Shown:
        ready = "" if self.seconds is None else f"ready in {self.seconds:.1f} s"
        title = f"{self.notebook} · {self.lab}" if self.lab else self.notebook
        heading = element("p", title, element("span", f"  {ready}", class_="lab-muted lab-small"), class_="lab-heading")
        parts = facts({part.name: join([chip(AVAILABILITY[part.state]), " ", _what(part)]) for part in self.parts})
        details = facts({**dict(self.versions), **{name: element("code", where) for name, where in self.addresses}})
        more = element("details", element("summary", "Versions and addresses"), details.html) if details.text else None
        banner = self.origin.banner()
        panel = element("div", heading, parts.html, more, class_="lab-panel")
        text = [f"{title} {ready}".rstrip(), *map(_part_text, self.parts), details.text]
        return Shown(
            join([style_element(), banner.html, panel]),
            "\n".join([line for line in [banner.text, *text] if line]),
            tells_origin=True,
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.shown()._repr_mimebundle_()

    def __str__(self) -> str:
        return self.shown().text


def closing(lab: str, leftovers: tuple[str, ...], seconds: float | None = None) -> Shown:
    """What `lab.close()` reports: what the lab failed to take with it, which should be nothing."""
    took = "" if seconds is None else f" in {seconds:.1f} s"
    if not leftovers:
        said = f"{lab} closed{took}: nothing left behind."
        mark = AVAILABILITY["live"]
        line = element("p", element("span", "✓", class_="lab-symbol", aria_hidden="true"), " ", said)
        return Shown(element("div", line, class_=f"lab-panel lab-edge lab-hue-{mark.hue}"), said, tells_origin=True)
    said = f"{lab} closed{took}, but left {len(leftovers)} behind; `./lab clean` removes them:"
    items = element("ul", *(element("li", element("code", leftover)) for leftover in leftovers))
    html = element("div", element("p", prose(said)), items, class_="lab-panel lab-edge lab-hue-bad", role="alert")
    return Shown(html, "\n".join([said, *(f"  - {leftover}" for leftover in leftovers)]), tells_origin=True)


def _what(part: Part) -> object:
    reason = (
        join([element("br"), element("span", prose(_why(part)), class_="lab-muted lab-small")])
        if part.because
        else None
    )
    return join([part.what, reason])


def _why(part: Part) -> str:
    return f"Because {part.because}." + (f" To change it: {part.change_it}." if part.change_it else "")


def _part_text(part: Part) -> str:
    said = f"{AVAILABILITY[part.state].text} {part.name}" + (f": {part.what}" if part.what else "")
    return f"{said}. {_why(part)}" if part.because else said
