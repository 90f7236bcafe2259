"""The one visual language: colours, symbols, and the stylesheet made of them. No colour carries a meaning alone."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from labsupport.display.markup import Markup, element


@dataclass(frozen=True)
class Hue:
    """One named colour in its light and its dark rendering; both are hex triples."""

    name: str
    light: str
    dark: str

    @property
    def css(self) -> str:
        """For SVG and style attributes: the theme's colour, or the light one where the stylesheet is absent."""
        return f"var(--lab-{self.name}, {self.light})"


@dataclass(frozen=True)
class Mark:
    """How a state is told: a symbol and a word, and only then a colour."""

    symbol: str
    word: str
    hue: str

    @property
    def text(self) -> str:
        return f"{self.symbol} {self.word}"


INK = Hue("ink", "#1c2024", "#eceef0")
MUTED = Hue("muted", "#596168", "#a6aeb6")
LINE = Hue("line", "#d0d5da", "#454c54")
PANEL = Hue("panel", "#f5f7f9", "#20252a")
PAPER = Hue("paper", "#ffffff", "#14171a")
LINK = Hue("link", "#0b5cad", "#7cc0ff")

# Okabe and Ito's colours, which the colour-blind tell apart, darkened or lightened until each reads on its background.
SERIES = (
    Hue("series-1", "#0069a8", "#5bb8f0"),
    Hue("series-2", "#b34700", "#ff9a5c"),
    Hue("series-3", "#00795a", "#35c79b"),
    Hue("series-4", "#9b4c7f", "#e3a0c8"),
    Hue("series-5", "#7a6400", "#e6cf3c"),
    Hue("series-6", "#505a64", "#b9c2cb"),
)
LONG_WORD = 18
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")
MARKERS = ("o", "s", "^", "D", "v", "P")

GOOD = Hue("good", "#00694e", "#4fd3aa")
BAD = Hue("bad", "#a53c00", "#ff9d66")
CAREFUL = Hue("careful", "#735e00", "#e6cf3c")
PLAIN = Hue("plain", "#505a64", "#b9c2cb")
STRANGE = Hue("strange", "#8a3f70", "#e3a0c8")

HUES = (INK, MUTED, LINE, PANEL, PAPER, LINK, *SERIES, GOOD, BAD, CAREFUL, PLAIN, STRANGE)

VERDICTS = {
    "confirmed": Mark("✓", "confirmed", "good"),
    "refuted": Mark("≠", "refuted", "strange"),
    "conditional": Mark("◐", "conditional", "careful"),
    "outdated": Mark("↺", "outdated", "plain"),
    "unclear": Mark("?", "unclear", "bad"),
    "untold": Mark("○", "not to be told here", "plain"),
}
CHECKED = {True: Mark("✓", "holds", "good"), False: Mark("✗", "does not hold", "plain")}
PREDICTED = {True: Mark("✓", "as predicted", "good"), False: Mark("≠", "not as predicted", "strange")}
AVAILABILITY = {
    "live": Mark("●", "live", "good"),
    "recorded": Mark("▤", "recorded", "careful"),
    "simulated": Mark("◇", "simulated", "strange"),
    "unavailable": Mark("○", "not available", "plain"),
    "unneeded": Mark("·", "not needed", "plain"),
}
OUTCOMES = {True: Mark("✓", "passed", "good"), False: Mark("✗", "failed", "bad")}


def verdict_mark(verdict: str) -> Mark:
    """The mark of a verdict; a word the ledger does not know is shown as it is."""
    return VERDICTS.get(verdict, Mark("·", verdict, "plain"))


def chip(mark: Mark, word: str | None = None) -> Markup:
    """A small label: symbol, word, border; one with many words may take two lines."""
    symbol = element("span", mark.symbol, class_="lab-symbol", aria_hidden="true")
    said = word or mark.word
    long = " lab-long" if len(said) > LONG_WORD else ""
    return element("span", symbol, " ", said, class_=f"lab-chip{long} lab-hue-{mark.hue}")


@cache
def stylesheet() -> str:
    """The palette as CSS variables, then the rules of lab.css."""
    variables = " ".join(f"--lab-{hue.name}: light-dark({hue.light}, {hue.dark});" for hue in HUES)
    hues = "\n".join(f".lab-hue-{hue.name} {{ --lab-hue: var(--lab-{hue.name}); }}" for hue in HUES)
    rules = (Path(__file__).parent / "lab.css").read_text(encoding="utf-8")
    return f".lab {{ {variables} }}\n{hues}\n{rules}"


def style_element() -> Markup:
    """The stylesheet as an element; the lab card carries it, once a notebook."""
    return element("style", Markup(stylesheet()))
