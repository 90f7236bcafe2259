"""What instructors get of an exercise: for every seed what is wrong or asked for, and a right answer.

Answers are made of what the exercises and their tests go by, so that page and check cannot differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from labsupport.errors import UsageError


@dataclass(frozen=True)
class SeedAnswer:
    """One seed: what is wrong or asked for, and a right answer, both in Markdown.

    Without an answer of its own it is the notebook's solution, which serves every seed.
    """

    asked: str
    answer: str = ""


@dataclass(frozen=True)
class Change:
    """A right answer as what to change in the file that the seed chooses; with an empty `new` it goes."""

    old: str
    new: str = ""

    def made_in(self, text: str) -> str:
        """Return the changed file.

        Raises:
            UsageError: there is nothing to change.
        """
        if self.old not in text:
            raise UsageError(f"change {self.old!r}", "the file does not have it", "make answer and file agree")
        return text.replace(self.old, self.new)

    def told(self) -> str:
        return f"`{self.old}` becomes `{self.new}`" if self.new else f"Without `{self.old}`"


def answers_section(answers: Sequence[SeedAnswer], solution: str) -> str:
    """The answers as a Markdown table; below it the notebook's own solution, where that is the answer."""
    own = all(each.answer for each in answers)
    cells = [[str(seed), each.asked, *([each.answer] if own else [])] for seed, each in enumerate(answers)]
    rows = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join(
        [
            "| Seed | What is wrong, or asked for | A right answer |" if own else "| Seed | What is wrong |",
            "|---:|---|---|" if own else "|---:|---|",
            *rows,
            "",
            f"Seeds go round: {len(answers)} is 0 again.",
            *([] if own else ["", "One answer serves them all:", "", "```", solution.rstrip("\n"), "```"]),
        ]
    )
