"""The ledger as a Markdown page, for those who read the repository and run nothing."""

from collections import Counter

from labsupport.lessons.ledger.book import Book, Entry, seen_on, words

HEAD = """# The ledger

Every sentence of the course that could be false, and what an experiment said of it. Made by `./lab generate` from
`notebooks/claims.yaml` and the recorded evidence; a test compares it.
"""


def ledger_document(book: Book) -> str:
    """Return the page: a table of counts, then a table for each topic."""
    counts = Counter(entry.word for entry in book.entries)
    summary = ", ".join(f"{counts[word]} {word}" for word in words() if counts[word])
    parts = [HEAD, f"{len(book.entries)} claims: {summary}.\n"]
    for topic, title in book.topics.items():
        rows = [_row(entry) for entry in book.where(topic).entries]
        parts += [
            f"## {title}\n",
            "\n".join(
                ["| Claim | Sentence | Status | Verdict | Settled by | Seen on |", "|---|---|---|---|---|---|", *rows]
            ),
            "",
        ]
    return "\n".join(parts).rstrip() + "\n"


def _row(entry: Entry) -> str:
    claim = entry.claim
    note = f" *{claim.note}*" if claim.note else ""
    verdict = f"**{claim.verdict}**" if claim.verdict else ""
    experiment = ""
    if claim.experiment:
        notebook, _, trial = claim.experiment.partition("/")
        experiment = f"[{notebook[:2]} · {trial}](../notebooks/{notebook}.ipynb)"
    return _cells(claim.id, f"{claim.sentence}{note}", claim.status, verdict, experiment, seen_on(entry.evidence))


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
