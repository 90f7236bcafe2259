"""What a class is in for on this computer: what is live, what is to be got, how many labs fit. Changes nothing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from labsupport import keeping
from labsupport.backends import LabOptions, make_toolchain, plan, takes_a_guest
from labsupport.backends.places import SYSTEMD
from labsupport.lessons.catalog import LESSONS
from labsupport.lessons.needs import Needs

if TYPE_CHECKING:
    from labsupport.systems.room import Room
    from labsupport.systems.toolchain.costs import Cost

# Looking into a guest takes its image and Python packages, which is more than a look may cost.
IN_A_GUEST = (
    "Labs run in a guest here, such as a container of your Docker engine, and that is not looked into from outside: "
    "`./lab run` shows what is live there, and gets what it takes. A lab takes up to 2 GB of the engine's memory, and "
    "building what it lacks up to 20 GB of its disk for a while. `./lab bundle` packs nothing for guests."
)


@dataclass(frozen=True)
class NotebookOutlook:
    """How a notebook will be here: live, or from recorded evidence, and why; `change_it` is empty where it is live."""

    notebook: str
    live: bool
    because: str
    change_it: str


@dataclass(frozen=True)
class Outlook:
    """All of it. `missing` is what the first lab would get, and `rooms` how many labs fit beside what runs now.

    Where labs run in a guest, `guest` says what is known of that, and all else is empty.
    """

    notebooks: tuple[NotebookOutlook, ...]
    missing: "tuple[Cost, ...]"
    rooms: "tuple[Room, ...]"
    guest: str = ""

    @property
    def minutes(self) -> float:
        return sum(each.minutes for each in self.missing)

    @property
    def download_megabytes(self) -> int:
        return sum(each.download_megabytes for each in self.missing)

    @property
    def labs(self) -> int | None:
        """How many more labs fit by all measures that are known; None where no lab can be live."""
        return min((each.fits for each in self.rooms if each.fits is not None), default=None)

    def as_data(self) -> Mapping[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "minutes": self.minutes, "labs": self.labs}


def look_ahead(options: LabOptions) -> Outlook:
    """Look at this computer as somebody who wants to teach all notebooks on it."""
    from labsupport.systems.room import Free, Size, rooms

    options = options.or_from_environment()
    if options.machine == "vm":  # what it takes is got here, as for a lab on this computer
        options = replace(options, machine="namespaces")
    if takes_a_guest(options):
        return Outlook((), (), (), IN_A_GUEST)
    chosen = plan(options)
    change_it = "" if chosen.machine == "namespaces" else _how_to_have_a_machine()
    notebooks = []
    for each in LESSONS:
        reason = chosen.why_not(each.needs)
        because = reason or ("what it takes can run here" if each.needs != Needs() else "it takes no lab")
        notebooks.append(NotebookOutlook(each.slug, not reason, because, change_it if reason else ""))
    wanted = chosen.within(keeping.needs_of([each.notebook for each in notebooks if each.live]))
    size = Size(wanted.engine, wanted.nodes)
    return Outlook(tuple(notebooks), tuple(_missing(wanted)), tuple(rooms(size, Free.now())) if chosen.machine else ())


def _missing(wanted: Needs) -> "list[Cost]":
    """Return what a lab with `wanted` would first have to get."""
    from labsupport.systems.images.archives import missing_images
    from labsupport.systems.images.recipes import RECIPES, recipe_of
    from labsupport.systems.machines.systemd_tree import MEGABYTES, has_tree
    from labsupport.systems.toolchain.costs import Cost

    toolchain = make_toolchain()
    costs = keeping.costs_of_tools(wanted)
    if SYSTEMD in wanted.engines and not has_tree(toolchain.store):
        costs.append(Cost("make the systemd machine's system of Debian packages", 0, MEGABYTES, MEGABYTES))
    for name in missing_images(toolchain, *wanted.images):
        recipe = recipe_of(name)
        # Those that have a Dockerfile of our own alone are made of what is here; one is unpacked by debootstrap.
        download = recipe.megabytes if recipe is RECIPES["debian"] else 0
        costs.append(Cost(f"build the image {recipe.tag}", recipe.seconds / 60, download, recipe.megabytes))
    return costs


def how_to_have_more_live(options: LabOptions) -> str:
    """Say what would have more live here; empty where all can be that is not recorded by choice."""
    from labsupport.systems.capabilities import OR_RECORDED, namespaces_machine

    if options.or_from_environment() != LabOptions():
        return ""
    return namespaces_machine().change_it.removesuffix(OR_RECORDED)


def _how_to_have_a_machine() -> str:
    from labsupport.systems.capabilities import namespaces_machine

    return namespaces_machine().change_it or "leave --machine out"
