"""Executes notebooks with papermill, on copies under build/, and collects what happened into the report.

Each notebook has a kernel of this project's own interpreter; the notebook opens its lab itself, so the lab ends
with its kernel. Knows nothing of engines or clusters, and prints nothing: progress goes to a listener.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport import errors
from labsupport.errors import UsageError, WaitExpired
from labsupport.notebooks import NotebookFile
from labsupport.process.alone import alone
from labsupport.process.interrupts import interrupts_later
from labsupport.process.waiting import wait_until
from labsupport.project import Project

if TYPE_CHECKING:
    from labsupport.display.report import ExecutedNotebook

SECONDS_PER_CELL = 1800
SECONDS_TO_STOP = 15
SECONDS_BETWEEN_LOOKS = 0.2
ENGINE = "saving-at-the-end"


@dataclass(frozen=True)
class NotebookProgress:
    """Where one notebook is: `cell` of `cells` code cells is about to run; equal once all ran."""

    slug: str
    cell: int
    cells: int
    doing: str


NotebookListener = Callable[[NotebookProgress], None]


@dataclass(frozen=True)
class RunPlan:
    """What to execute and how: papermill parameters, the kernels' extra environment, how many at once.

    `afterwards` is called when no kernel runs any more, however that came; no Ctrl-C cuts it short.
    """

    notebooks: Sequence[NotebookFile]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 1
    afterwards: Callable[[], object] = lambda: None


def run_notebooks(project: Project, plan: RunPlan, listener: NotebookListener) -> "list[ExecutedNotebook]":
    """Execute every notebook of the plan, going on after a failed one; return results in the plan's order.

    On Ctrl-C every kernel is interrupted, so that each keeps its evidence; on a second one those that still run are
    killed. Then KeyboardInterrupt passes through; no kernel is left.
    """
    _quiet_the_libraries()
    with ExitStack() as held:
        try:
            project.build.mkdir(exist_ok=True)
            held.enter_context(alone(project.build / "run.lock", "execute notebooks in this clone"))
        except OSError as problem:
            raise _cannot_write(project.build, problem) from problem
        folder = _fresh_folder(project, plan.notebooks)
        return _run_all(Kernels(project, folder, plan.environment), folder, plan, listener)


def _run_all(kernels: "Kernels", folder: Path, plan: RunPlan, listener: NotebookListener) -> "list[ExecutedNotebook]":
    pool = ThreadPoolExecutor(max_workers=max(plan.jobs, 1), thread_name_prefix="notebook")
    # The longest first, as far as its size tells: begun last, it would go on alone.
    order = sorted(plan.notebooks, key=_size, reverse=True) if plan.jobs > 1 else plan.notebooks
    # From the first kernel to the last thing removed: a Ctrl-C amid the end of another must not leave the rest undone.
    with interrupts_later() as came:
        begun = {one.slug: pool.submit(_execute, one, folder, plan.parameters, kernels, listener) for one in order}
        futures = [begun[one.slug] for one in plan.notebooks]
        try:
            while not came and wait(futures, timeout=SECONDS_BETWEEN_LOOKS).not_done:
                pass
            if came:
                pool.shutdown(wait=False, cancel_futures=True)
                _stop(futures, kernels, came)
        finally:
            plan.afterwards()
    pool.shutdown()
    return [future.result() for future in futures]


def _size(notebook: NotebookFile) -> int:
    return notebook.path.stat().st_size


class Kernels:
    """Starts kernels with this project's interpreter and none of the user's Jupyter settings; can signal them all."""

    def __init__(self, project: Project, folder: Path, environment: Mapping[str, str]) -> None:
        self._python = str(project.python)
        self._folder = folder
        private = {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_CONFIG_DIR": str(folder / "jupyter")}
        self._environment = {**os.environ, **private, **environment}
        self._pids: list[int] = []
        self._stopping = False

    def manager_class(self, slug: str) -> type:
        """Return the kernel manager class papermill shall use for one notebook."""
        from jupyter_client.kernelspec import KernelSpec
        from jupyter_client.manager import AsyncKernelManager

        kernels = self

        class ProjectKernelManager(AsyncKernelManager):
            def __init__(self, **options: Any) -> None:
                super().__init__(**options)
                self._kernel_spec = KernelSpec(
                    argv=[kernels._python, "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                    display_name="Python 3 (ipykernel)",
                    language="python",
                )
                self.connection_file = str(kernels._folder / f"kernel-{slug}.json")

            async def _async_start_kernel(self, **options: Any) -> None:
                with (kernels._folder / f"kernel-{slug}.log").open("wb") as log:
                    streams = {"stdout": log.fileno(), "stderr": log.fileno()}
                    await super()._async_start_kernel(**{**options, **streams, "env": kernels._environment})
                pid = getattr(self.provisioner, "pid", None)
                kernels._pids += [pid] if pid else []
                if pid and kernels._stopping:
                    os.kill(pid, signal.SIGKILL)

            start_kernel = _async_start_kernel

        return ProjectKernelManager

    def stop_all(self, number: int) -> None:
        """Send a signal to every kernel; one that only starts now has no lab yet, and is killed."""
        self._stopping = True
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _execute(
    notebook: NotebookFile, folder: Path, parameters: Mapping[str, Any], kernels: Kernels, listener: NotebookListener
) -> "ExecutedNotebook":
    import nbformat
    import papermill
    from papermill.engines import papermill_engines

    from labsupport.display.report import ExecutedNotebook

    papermill_engines.register(ENGINE, _saving_at_the_end())

    source = folder / f"{notebook.slug}.ipynb"
    executed = folder / "executed" / source.name
    content = nbformat.read(source, as_version=4)
    cells = sum(1 for cell in content.cells if cell.cell_type == "code" and cell.source.strip())
    done = 0

    def before_cell(cell: Any, cell_index: int) -> None:
        if cell.cell_type == "code":
            first = next((line for line in cell.source.splitlines() if line and not line.startswith("#")), "")
            listener(NotebookProgress(notebook.slug, min(done, cells), cells, first[:60]))

    def after_cell(cell: Any, cell_index: int, execute_reply: Any) -> None:
        nonlocal done
        ran = execute_reply["content"]["status"] == "ok"
        done += ran and "injected-parameters" not in cell.metadata.get("tags", [])

    started = time.monotonic()
    error = ""
    listener(NotebookProgress(notebook.slug, 0, cells, "starting its kernel"))
    try:
        papermill.execute_notebook(
            str(source),
            str(executed),
            parameters=dict(parameters),
            engine_name=ENGINE,
            kernel_name="python3",
            progress_bar=False,
            execution_timeout=SECONDS_PER_CELL,
            resources={"metadata": {"path": str(folder)}},
            kernel_manager_class=kernels.manager_class(notebook.slug),
            on_cell_start=before_cell,
            on_cell_executed=after_cell,
        )
    except Exception as problem:  # a notebook can fail in any way; the others still run
        error = _last_words(problem)
    listener(NotebookProgress(notebook.slug, cells if not error else done, cells, "failed" if error else "passed"))
    return ExecutedNotebook(
        slug=notebook.slug,
        title=_title(content),
        path=executed,
        outcome="failed" if error else "passed",
        seconds=time.monotonic() - started,
        cells=cells,
        cells_done=min(done, cells),
        error=error,
    )


def _saving_at_the_end() -> type:
    """Return papermill's engine, made to save once, however it ends: twice a cell takes longer than most cells run."""
    from papermill.engines import NBClientEngine
    from papermill.iorw import write_ipynb

    class SavingAtTheEnd(NBClientEngine):  # type: ignore[misc]  # papermill has no types
        @classmethod
        def execute_notebook(cls, nb: Any, kernel_name: str, output_path: str = "", **options: Any) -> Any:
            try:
                return super().execute_notebook(nb, kernel_name, **options)
            finally:
                write_ipynb(nb, output_path)

    return SavingAtTheEnd


def _stop(futures: Sequence["Future[ExecutedNotebook]"], kernels: Kernels, came: Sequence[int]) -> None:
    """Interrupt the kernels, and kill them when that takes long, or a second Ctrl-C says so; `came` has all of them."""

    def have_ended() -> bool:
        return all(future.done() for future in futures)

    kernels.stop_all(signal.SIGINT)
    with suppress(WaitExpired):
        wait_until(lambda: len(came) > 1 or have_ended(), "the kernels to end", within_seconds=SECONDS_TO_STOP)
    if not have_ended():
        kernels.stop_all(signal.SIGKILL)
        wait(futures, timeout=SECONDS_TO_STOP)


def _fresh_folder(project: Project, notebooks: Sequence[NotebookFile]) -> Path:
    """Return build/run holding copies of the notebooks and their assets, and an empty folder for the executed ones."""
    folder = project.build / "run"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "executed").mkdir(parents=True)
        for notebook in notebooks:
            shutil.copyfile(notebook.path, folder / notebook.path.name)
            shutil.rmtree(project.live_evidence / notebook.slug, ignore_errors=True)
            assets = project.assets / notebook.slug
            if assets.is_dir():
                shutil.copytree(assets, folder / "assets" / notebook.slug)
    except OSError as problem:
        raise _cannot_write(folder, problem) from problem
    return folder


def _cannot_write(folder: Path, problem: OSError) -> UsageError:
    return UsageError(
        f"copy the notebooks into {folder}",
        f"{problem.strerror}: {problem.filename}",
        "make the clone writable for you, or make room on its disk, then run the same command again",
    )


def _title(content: Any) -> str:
    for cell in content.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            return str(cell.source.splitlines()[0][2:].strip())
    return ""


def _last_words(problem: Exception) -> str:
    """Say in a few lines what ended a notebook: the cell's own error where there is one."""
    value = getattr(problem, "evalue", None)
    if value is None:
        return str(problem)[-2000:] or type(problem).__name__
    name = str(getattr(problem, "ename", ""))
    # Errors of this project are complete sentences; their class name adds nothing.
    own = isinstance(getattr(errors, name, None), type)
    return str(value) if own else f"{name}: {value}"


def _quiet_the_libraries() -> None:
    # papermill and nbclient log every warning to the terminal, over the progress; what matters comes back as results.
    import logging
    import warnings

    for name in ("papermill", "traitlets", "nbclient", "jupyter_client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"(zmq|papermill|nbclient|jupyter_client|nbformat).*")


def write_report(project: Project, results: "Sequence[ExecutedNotebook]") -> Path:
    """Write build/report/ from what was executed and seen; return its first page."""
    from labsupport.display import report

    facts = {"Version": project.version, "Date": time.strftime("%Y-%m-%d %H:%M %Z")}
    return report.write_report(
        project.report,
        results,
        evidence=project.live_evidence,
        claims=project.claims,
        facts=facts,
        recorded=project.recorded_evidence,
    )


def sources_of(project: Project, results: "Sequence[ExecutedNotebook]") -> dict[str, tuple[str, ...]]:
    """Return per notebook, in words, where what it showed is from: live, recorded, simulated; none without a lab."""
    from labsupport.display.findings import collect_findings

    passed = {one.slug for one in results if one.outcome == "passed"}
    slugs = [one.slug for one in results]
    found = collect_findings(slugs, project.live_evidence, project.recorded_evidence, passed=passed)
    return {slug: tuple(mark.word for mark in found.sources(slug)) for slug in slugs}
