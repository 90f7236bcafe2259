"""JupyterLab as a person uses it: open a notebook, run it, read what it shows. Waits with deadlines; never sleeps."""

from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Error as PlaywrightError

SECONDS_TO_OPEN = 180
# A layout beside the one that JupyterLab opens with.
ASIDE = "aside"
# For whatever says no other time, on a computer with much else to do.
SECONDS_TO_ANSWER = 120
# A cell that waits or runs has [*], one that ran a number, which the code cell at `last` must have: right after a click
# none may wait yet. After an error those below are not run. What the kernel is doing stands in the status bar.
NOTHING_WAITS = r"""last => {
  const prompts = [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")].map(node => node.textContent);
  const failed = document.querySelector("[data-mime-type='application/vnd.jupyter.error']") !== null;
  const ran = failed || /\[\d+\]/.test(prompts.at(last));
  return ran && !prompts.some(text => text.includes("*")) && document.body.innerText.includes("(ipykernel) | Idle");
}"""
END_EVERY_KERNEL = """async base => {
  const token = (document.cookie.match(/_xsrf=([^;]+)/) || [])[1] || "";
  const sessions = await (await fetch(`${base}/api/sessions`)).json();
  for (const session of sessions) {
    await fetch(`${base}/api/sessions/${session.id}`, { method: "DELETE", headers: { "X-XSRFToken": token } });
  }
}"""


class LabPage:
    """One browser page on a running JupyterLab."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        page.set_default_timeout(SECONDS_TO_ANSWER * 1000)
        self.errors: list[str] = []
        self.outside: list[str] = []
        self._base, _, query = url.rpartition("/lab?")
        self._query = query
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._note_request)

    def open(self, notebook: str) -> None:
        """Open one notebook by itself, and wait for its kernel."""
        self.page.goto(f"{self._base}/doc/workspaces/{ASIDE}/tree/{notebook}?{self._query}&reset")
        self._wait_for_kernel()

    def _wait_for_kernel(self) -> None:
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=SECONDS_TO_OPEN * 1000)
        # Cells run before the kernel is known make JupyterLab ask which one to take.
        self.page.get_by_text("(ipykernel) | Idle").wait_for(timeout=SECONDS_TO_OPEN * 1000)

    def open_as_started(self) -> None:
        """Open what `./lab start` opens, and wait for the kernel of the notebook in it."""
        self.page.goto(f"{self._base}/lab?{self._query}")
        self._wait_for_kernel()

    def open_lab(self) -> None:
        """Open JupyterLab with its list of files and nothing else."""
        self.page.goto(f"{self._base}/lab/workspaces/{ASIDE}?{self._query}&reset")
        self.page.locator(".jp-DirListing-item").first.wait_for(timeout=SECONDS_TO_OPEN * 1000)

    def open_from_list(self, notebook: str) -> None:
        """Open a notebook from the list of files, and wait for its kernel."""
        self.page.locator(".jp-DirListing-item", has_text=notebook).dblclick()
        self._wait_for_kernel()

    def close_notebook(self) -> None:
        """Close the notebook by the menu, and end its kernel."""
        self.page.get_by_role("menuitem", name="File", exact=True).click()
        # Its key is part of its name.
        self.page.get_by_role("menuitem", name="Close and Shut Down Notebook").click()
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.locator(".jp-Notebook").wait_for(state="detached")

    def run_all(self, *, within_seconds: float) -> None:
        """Run every cell by the menu, and wait until the kernel has nothing left to do."""
        self._menu("Run", "Run All Cells")
        self._wait_until_done(within_seconds)

    def run_to(self, source: str, *, within_seconds: float) -> None:
        """Run the cells above the first one with this text, then that one."""
        place = self._place_of(source)
        prompt = self.page.locator(".jp-CodeCell").nth(place).locator(".jp-InputPrompt")
        prompt.click()
        self._menu("Run", "Run All Above Selected Cell")
        prompt.click()
        self.page.keyboard.press("Control+Enter")
        self._wait_until_done(within_seconds, last=place)

    def run_after(self, source: str, *, within_seconds: float) -> None:
        """Run the cells below the first one with this text."""
        self.page.locator(".jp-CodeCell").nth(self._place_of(source) + 1).locator(".jp-InputPrompt").click()
        self._menu("Run", "Run Selected Cell and All Below")
        self._wait_until_done(within_seconds)

    def write(self, cell: str, text: str, *, within_seconds: float) -> None:
        """Put a text in the place of what the first cell with `cell` in it has, and run that cell."""
        place = self._place_of(cell)
        self.page.locator(".jp-CodeCell").nth(place).locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)
        self.page.keyboard.press("Control+Enter")
        self._wait_until_done(within_seconds, last=place)

    def run_cell(self, source: str, *, within_seconds: float) -> None:
        """Run the first cell with this text, and wait for it."""
        place = self._place_of(source)
        self.page.locator(".jp-CodeCell").nth(place).locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+Enter")
        self._wait_until_done(within_seconds, last=place)

    def output_of(self, source: str) -> Any:
        """The output of the first cell with this text, scrolled to: JupyterLab leaves out what is off screen."""
        output = self.page.locator(".jp-CodeCell", has_text=source).first.locator(".jp-Cell-outputWrapper")
        output.scroll_into_view_if_needed()
        return output

    def _menu(self, name: str, entry: str) -> None:
        self.page.get_by_role("menuitem", name=name, exact=True).click()
        self.page.get_by_role("menuitem", name=entry, exact=True).click()

    def _place_of(self, source: str) -> int:
        """Which of the code cells is the first with this text, from 0."""
        # JupyterLab draws cells one after the other.
        self.page.locator(".jp-CodeCell", has_text=source).first.wait_for(state="attached")
        texts = self.page.locator(".jp-CodeCell").all_text_contents()
        return next(place for place, text in enumerate(texts) if source in text)

    def _wait_until_done(self, within_seconds: float, *, last: int = -1) -> None:
        self.page.wait_for_function(NOTHING_WAITS, arg=last, timeout=within_seconds * 1000)

    @property
    def tracebacks(self) -> list[str]:
        """What cells show that ended with an error."""
        shown: list[str] = self.page.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_text_contents()
        return shown + self.page.locator("[data-mime-type='application/vnd.jupyter.error']").all_text_contents()

    def explorer(self) -> Any:
        return self.page.locator(".lab-explorer")

    def keep_screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(PlaywrightError):  # for who reads of a failure; of none itself
            self.page.screenshot(path=path)

    def close(self) -> None:
        """End the kernel, then the page: a lab ends with its kernel."""
        self.page.evaluate(END_EVERY_KERNEL, self._base)
        self.page.close()

    def _note_request(self, request: Any) -> None:
        where = urlsplit(request.url)
        if where.scheme in ("http", "https", "ws", "wss") and where.netloc != urlsplit(self._base).netloc:
            self.outside.append(request.url)
