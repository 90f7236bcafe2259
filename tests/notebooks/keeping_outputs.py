"""A pytest plugin beside nbval: keeps what each cell put out, as one line of outputs.jsonl beside the notebook."""

import json
from typing import Any

import pytest

KEPT = "outputs.jsonl"


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: Any) -> None:
    """Write {"source", "outputs"} of a cell; nbval has the outputs as a notebook has them."""
    outputs = getattr(item, "test_outputs", None)
    if outputs is not None:
        with (item.path.parent / KEPT).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"source": item.cell.source, "outputs": outputs}) + "\n")
