"""Takes out of evidence what belongs to one computer or one moment, and puts stable placeholders in its place.

Owns the patterns. A placeholder has a number where telling things apart matters (`<container-2>`), counted by first
appearance in the trial, so that recording the same trial again gives the same text. Scrubbing twice changes nothing.
Kept on purpose: addresses of the lab's own networks, and points in time before 2024 (experiments set those themselves).
"""

import getpass
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

# A user or host may be called what is also a word of commands and their output: there it stays, save beside an `@`.
WORDS_THAT_ARE_ALSO_NAMES = frozenset(
    """root user users admin guest test build runner docker kube node lab labs student vagrant ubuntu debian linux host
    local localhost localdomain server worker master main client default daemon nobody home system jovyan app web data
    work""".split()  # noqa: SIM905
)
SHORTEST_NAME = 4
FIRST_YEAR_SCRUBBED = 2024
WELL_KNOWN_LINK_LOCAL = frozenset({"169.254.0.0", "169.254.169.254", "169.254.255.255"})
WELL_KNOWN_MAC = frozenset({"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"})
# What a fresh id names, by the word of the command that printed it.
KIND_BY_WORD = {
    **dict.fromkeys(
        ("run", "create", "ps", "start", "stop", "restart", "kill", "rm", "wait", "container"), "container"
    ),
    **dict.fromkeys(("build", "image", "images", "history", "pull", "buildx", "commit"), "image"),
    "network": "network",
    "volume": "volume",
}

# As places these would change what belongs to every container.
PLACES_EVERYWHERE = frozenset(
    ["", "/", "/root", "/home", "/tmp", "/var", "/etc", "/usr", "/opt", "/srv", "/mnt", "/data", "/app", "/run"]
)

_EDGE = r"(?<![0-9A-Za-z_])"
_END = r"(?![0-9A-Za-z_])"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_ZONE = r"(?: ?(?:Z|[+-]\d{2}:?\d{2}))?(?: [A-Z]{3,4})?(?: m=[+-][\d.]+)?"
_CLOCK = r"\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?"

PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
TOKEN = re.compile(
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}|(?<=Bearer )[\w.~+/-]{12,}=*|\bSWMTKN-\d+-[0-9a-z]+-[0-9a-z]+"
)
UUID = re.compile(rf"{_EDGE}[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{_END}", re.IGNORECASE)
# kubelet's cgroup of a pod is called by its uid, with underscores where systemd reads dashes as steps of a path.
POD_CGROUP = re.compile(r"(?<=pod)[0-9a-f]{8}(?:([-_])[0-9a-f]{4})(?:\1[0-9a-f]{4}){2}\1[0-9a-f]{12}(?![0-9a-z])")
HEX_ID = re.compile(rf"{_EDGE}(sha256:)?([0-9a-f]{{64}}|[0-9a-f]{{32}}|[0-9a-f]{{12}}){_END}")
# What is left of an id where a check's words were cut short; at least so much of it that it is not there by chance.
CUT_ID = re.compile(rf"(?:(?<=pod)|{_EDGE})(?:sha256:)?([0-9a-f][0-9a-f_-]{{3,}})(?=…)")
LETTER_ID = re.compile(rf"{_EDGE}(?=[a-z0-9]*\d[a-z0-9]*\d)(?=[a-z0-9]*[a-z])[a-z0-9]{{25}}{_END}")
LAYER_LINK = re.compile(rf"{_EDGE}(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-Z0-9]{{26}}{_END}")
MAC = re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])")
# As plugins call the node's end of a pod's wire; Cilium says lxc.
VETH = re.compile(rf"{_EDGE}(?:veth[0-9a-f]{{7,8}}|lxc[0-9a-f]{{12}}){_END}")
LINK_LOCAL = re.compile(
    r"(?<![\d.])169\.254\.\d{1,3}\.\d{1,3}(?![\d.]*\d)|(?<![0-9A-Fa-f:])fe80:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{1,4}"
)
LAB_NAME = re.compile(rf"{_EDGE}lab-[0-9a-f]{{6}}{_END}")
TEMPORARY = re.compile(r"(?:/private)?/(?:var/)?tmp/(?:tmp[\w]{8}|tmp\.[\w]{6,12})(?![\w])")
YEAR_TIME = re.compile(rf"(?<!\d)(\d{{4}})[-/](?:\d{{2}}|{_MONTH})[-/]\d{{2}}[T ]{_CLOCK}{_ZONE}(?![\d:])")
WEB_LOG_TIME = re.compile(rf"(?<!\d)\d{{2}}/{_MONTH}/(\d{{4}}):{_CLOCK}(?: [+-]\d{{4}})?")
CALENDAR_TIME = re.compile(
    r"(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
    rf"(?:\b{_MONTH} [ \d]?\d|\b\d{{1,2}} {_MONTH} \d{{4}}),? {_CLOCK}(?: [A-Z]{{3,4}})?(?: (\d{{4}}))?"
)
AGO = re.compile(r"(?:\b(?:About an?|Less than a)|\b\d+) (?:second|minute|hour|day|week|month|year)s? ago\b")
UP_FOR = re.compile(r"\bUp (?:(?:About an?|Less than a)|\d+) (?:second|minute|hour|day|week)s?\b")
BUILD_LINE = re.compile(r"^#\d+ .*$", re.MULTILINE)
BUILD_SECONDS = re.compile(r"(?<=\s)\d+(?:\.\d+)?s\b|(?<=\s)\d+\.\d{3}(?=\s)")


class Scrubber:
    """Scrubs the texts of one trial, remembering what each placeholder stands for.

    Args:
        places: folder or address → what to call it, such as `{"/var/lib/labs/lab-3f9a2c": "<run>"}`; longest first.
        names: words of this computer (host, user) → placeholder.
    """

    def __init__(self, places: Mapping[str, str] | None = None, names: Mapping[str, str] | None = None) -> None:
        self.places = {place: name for place, name in (places or {}).items() if place not in PLACES_EVERYWHERE}
        self.names = dict(names or {})
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    @classmethod
    def for_this_computer(cls, places: Mapping[str, str] | None = None) -> "Scrubber":
        """Know this computer's host name, user name and home folder beside the given places."""
        home = str(Path.home())
        return cls({home: "<home>", **(places or {})}, {socket.gethostname(): "<host>", getpass.getuser(): "<user>"})

    def fresh(self) -> "Scrubber":
        """A scrubber for the next trial: same places and names, numbers from 1."""
        return Scrubber(self.places, self.names)

    def learn(self, raw: str, kind: str) -> str:
        """Name an id before it is seen, so that its placeholder says what it is; return the placeholder."""
        return self._number(raw.removeprefix("sha256:"), kind)

    def text(self, text: str, kind: str = "id") -> str:
        """Scrub output; ids not seen before get the next number of `kind`."""

        def name(match: re.Match[str]) -> str:
            return self._name_id(match, kind, self._number)

        return self._scrub(text, name, self._number)

    def argv(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Scrub a command. An id no output has shown is the author's own word: it stays, here and in later output."""

        def name(match: re.Match[str]) -> str:
            return self._name_id(match, "id", self._keep)

        return tuple(self._scrub(word, name, self._keep) for word in argv)

    def value(self, value: Any, kind: str = "id") -> Any:
        """Scrub every text inside a JSON value, keys too."""
        if isinstance(value, str):
            return self.text(value, kind)
        if isinstance(value, Mapping):
            return {self.text(str(key), kind): self.value(item, kind) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item, kind) for item in value]
        return value

    def _scrub(self, text: str, name_id: Callable[[re.Match[str]], str], number: Callable[[str, str], str]) -> str:
        text = PRIVATE_KEY.sub("<private key>", text)
        text = TOKEN.sub("<token>", text)
        for place in sorted(self.places, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(place)}(?![\w-]|\.\w)", self._place, text)
        text = _scrub_times(text)
        text = UUID.sub(lambda match: number(match[0].lower(), "uid"), text)
        text = POD_CGROUP.sub(lambda match: number(match[0].replace("_", "-"), "uid"), text)
        text = HEX_ID.sub(name_id, text)
        text = CUT_ID.sub(self._name_cut, text)
        for pattern, kind in ((LETTER_ID, "id"), (LAYER_LINK, "layer-link"), (VETH, "veth")):
            text = pattern.sub(partial(_numbered, number, kind), text)
        text = MAC.sub(lambda match: match[0] if match[0].lower() in WELL_KNOWN_MAC else number(match[0], "mac"), text)
        text = LINK_LOCAL.sub(lambda match: self._name_link_local(match[0], number), text)
        text = TEMPORARY.sub("<temporary>", LAB_NAME.sub("<lab>", text))
        return self._scrub_names(text)

    def _place(self, match: re.Match[str]) -> str:
        return self.places[match[0]]

    def _scrub_names(self, text: str) -> str:
        for name, placeholder in self.names.items():
            word = re.escape(name)
            # In `<…>` stands a placeholder, not a name.
            whole = rf"(?<![\w<-]){word}(?![\w>-])"
            risky = len(name) < SHORTEST_NAME or name.lower() in WORDS_THAT_ARE_ALSO_NAMES
            pattern = rf"(?<=@){word}(?!\w)|(?<!\w){word}(?=@)" if risky else whole
            if name and name != "localhost":
                text = re.sub(pattern, placeholder, text)
        return text

    def _name_id(self, match: re.Match[str], kind: str, number: Callable[[str, str], str]) -> str:
        prefix, digits = match[1] or "", match[2]
        known = self._placeholders.get(digits[:12])
        if known is not None:
            return match[0] if known == digits[:12] else known
        # Twelve digits may be a number of bytes, twelve letters a word: an id nobody has seen has both.
        if len(digits) == 12 and not prefix and (digits.isdigit() or digits.isalpha()):
            return match[0]
        named = number(digits, "digest" if prefix and kind != "image" else kind)
        return prefix + digits if named == digits else named

    def _name_cut(self, match: re.Match[str]) -> str:
        """Name the begin of an id that was seen in full; what none, or more than one, begins with stays."""
        cut = match[1].replace("_", "-")
        found = [known for raw, known in self._placeholders.items() if raw.startswith(cut) or cut.startswith(raw)]
        return found[0] if len(found) == 1 and found[0].startswith("<") else match[0]

    def _name_link_local(self, address: str, number: Callable[[str, str], str]) -> str:
        if address in WELL_KNOWN_LINK_LOCAL:
            return address
        if address in self._placeholders:
            return self._placeholders[address]
        if number == self._keep:
            # It must not reach evidence, and replay, which sees commands only, could not count it.
            self._placeholders[address] = "<link-local>"
            return "<link-local>"
        return number(address, "link-local")

    def _number(self, raw: str, kind: str) -> str:
        key = raw[:12] if HEX_ID.fullmatch(raw) else raw
        if key not in self._placeholders:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._placeholders[key] = f"<{kind}-{self._counts[kind]}>"
        known = self._placeholders[key]
        return raw if known == key else known

    def _keep(self, raw: str, kind: str) -> str:
        del kind
        key = raw[:12] if HEX_ID.fullmatch(raw) else raw
        known = self._placeholders.setdefault(key, key)
        return raw if known == key else known


def kind_of_ids(argv: Sequence[str]) -> str:
    """Say what an id printed by this command names: container, image, network, volume; else plainly id."""
    words = [word for word in argv[1:] if not word.startswith("-")]
    return next((KIND_BY_WORD[word] for word in words[:2] if word in KIND_BY_WORD), "id")


def _numbered(number: Callable[[str, str], str], kind: str, match: re.Match[str]) -> str:
    return number(match[0], kind)


def _scrub_times(text: str) -> str:
    def recent(match: re.Match[str]) -> str:
        year = match[1]
        return match[0] if year is not None and int(year) < FIRST_YEAR_SCRUBBED else "<time>"

    for pattern in (YEAR_TIME, WEB_LOG_TIME, CALENDAR_TIME):
        text = pattern.sub(recent, text)
    text = UP_FOR.sub("Up <duration>", AGO.sub("<duration> ago", text))
    return BUILD_LINE.sub(lambda line: BUILD_SECONDS.sub("<duration>", line[0]), text)
