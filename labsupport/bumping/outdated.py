"""Which recorded evidence was seen with a version that changed. Reads; writes nothing."""

from labsupport.backends.starting import tool_groups
from labsupport.experiments.evidence import read_folder
from labsupport.lessons.catalog import LESSONS, Lesson
from labsupport.process.ownership import VIRTUAL_KIND
from labsupport.project import Project
from labsupport.systems.images.recipes import recipe_of, tools_of
from labsupport.systems.toolchain.catalogue import Catalogue, Pin, read_catalogue


def experiments(project: Project, pin: Pin, *, virtual: bool = False) -> tuple[str, ...]:
    """Return the experiments to record anew, such as 06-dockerfile-instructions/stop; or those of a virtual machine.

    Evidence names the tools it was seen with. Where none names one of `pin`, as it names the main ones only, they are
    all experiments of the notebooks that have one of its tools.
    """
    recorded = list(read_folder(project.recorded_evidence))
    named = [one for one in recorded if {tool.name for tool in one.provenance.tools} & set(pin.tools)]
    if not named:
        catalogue = read_catalogue(project.root / "toolchain")
        having = {lesson.slug for lesson in LESSONS if _tools_of(lesson, catalogue) & set(pin.tools)}
        named = [one for one in recorded if one.notebook in having]
    return tuple(dict.fromkeys(one.experiment for one in named if (one.backend == VIRTUAL_KIND) == virtual))


def _tools_of(lesson: Lesson, catalogue: Catalogue) -> set[str]:
    images = [name for image in lesson.needs.images for name in tools_of(recipe_of(image))]
    wanted = {*tool_groups(lesson.needs), *images}
    return {tool.name for tool in catalogue.tools.values() if {tool.name, *tool.groups} & wanted}
