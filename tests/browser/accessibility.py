"""Asks axe-core what is wrong with a page for somebody who does not see it, or has no mouse."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe

SERIOUS = ("serious", "critical")


def serious_faults(page: Any, within: str | None = None) -> list[str]:
    """Return a line for each place with a serious or critical fault, in the whole page or in what a selector finds."""
    found = Axe().run(page, within, {"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {' '.join(node['target'])}: {node['html'][:200]}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]
