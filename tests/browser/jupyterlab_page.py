"""JupyterLab as a person uses it: open a notebook, run it, read what it shows. Waits with deadlines; never sleeps."""

from typing import Any
from urllib.parse import urlsplit

SECONDS_TO_OPEN = 60
EVERY_CELL_RAN = r"""() => {
  const prompts = [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")].map(node => node.textContent);
  return prompts.length > 0 && prompts.every(text => /\[\d+\]/.test(text));
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
        self.errors: list[str] = []
        self.outside: list[str] = []
        self._base, _, query = url.rpartition("/lab?")
        self._query = query
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._note_request)

    def open(self, notebook: str) -> None:
        """Open one notebook by itself, and wait for its kernel."""
        self.page.goto(f"{self._base}/doc/tree/{notebook}?{self._query}&reset")
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=SECONDS_TO_OPEN * 1000)
        # Cells run before the kernel is known make JupyterLab ask which one to take.
        self.page.get_by_text("(ipykernel) | Idle").wait_for(timeout=SECONDS_TO_OPEN * 1000)

    def run_all(self, *, within_seconds: float) -> None:
        """Run every cell by the menu, and wait until the kernel has nothing left to do."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.page.wait_for_function(EVERY_CELL_RAN, timeout=within_seconds * 1000)

    @property
    def tracebacks(self) -> list[str]:
        """What cells show that ended with an error."""
        shown: list[str] = self.page.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts()
        return shown + self.page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts()

    def explorer(self) -> Any:
        return self.page.locator(".lab-explorer")

    def close(self) -> None:
        """End the kernel, then the page: a lab ends with its kernel."""
        self.page.evaluate(END_EVERY_KERNEL, self._base)
        self.page.close()

    def _note_request(self, request: Any) -> None:
        where = urlsplit(request.url)
        if where.scheme in ("http", "https", "ws", "wss") and where.netloc != urlsplit(self._base).netloc:
            self.outside.append(request.url)
