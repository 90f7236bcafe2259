"""Measures the course: every notebook live, one after the other, as `./lab run --jobs 1` runs them."""

from labsupport.benchmark.equipment import Clock, Equipment, Seen
from labsupport.errors import CommandFailed
from labsupport.process.progress import Progress


def measure_course(equipment: Equipment) -> Seen:
    """Execute every notebook; the parts are the notebooks.

    Raises:
        CommandFailed: one of them failed; how long a broken one takes says nothing.
    """
    from labsupport.notebooks import all_notebooks
    from labsupport.running import NotebookProgress, RunPlan, run_notebooks

    project, listener = equipment.project, equipment.listener

    def show(step: NotebookProgress) -> None:
        listener(Progress(f"{step.slug} cell {step.cell}/{step.cells}: {step.doing}", step.cell / max(step.cells, 1)))

    plan = RunPlan(all_notebooks(project), environment={"LAB_EVIDENCE": str(project.live_evidence)})
    clock = Clock()
    results = run_notebooks(project, plan, show)
    seconds = clock.seconds
    if failed := [f"{one.slug}: {one.error}" for one in results if one.outcome != "passed"]:
        raise CommandFailed("./lab run --jobs 1", "\n".join(failed), "run the first of them alone: ./lab run NN")
    return Seen({"course": seconds}, parts={"course": {one.slug: one.seconds for one in results}})
