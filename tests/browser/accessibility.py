"""Asks axe-core what is wrong with a page for somebody who does not see it, or has no mouse."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe

SERIOUS = ("serious", "critical")
# A figure is one picture with a name; axe would look at each of its thousands of strokes.
STROKES = "figure svg *"


def serious_faults(page: Any, within: str = "body", *, rules: tuple[str, ...] = ()) -> list[str]:
    """Return a line for each place with a serious or critical fault in what a selector finds.

    Args:
        rules: ask for these only; for all without them.
    """
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    context = {"include": [[within]], "exclude": [[STROKES]]}
    found = Axe().run(page, context, options).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {' '.join(node['target'])}: {node['html'][:200]}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]
