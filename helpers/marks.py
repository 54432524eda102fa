"""Text that a command writes into a page, between two marks."""

from pathlib import Path


def put_between_marks(page: Path, name: str, text: str) -> None:
    """Put `text` in the place of what stands between `<!-- name -->` and `<!-- /name -->`. LookupError if the page has no such place."""
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, opened, rest = page.read_text("utf-8").partition(opening)
    _, closed, after = rest.partition(closing)
    if not (opened and closed):
        raise LookupError(f"{page} has no place for {name}, from {opening} to {closing}.")
    page.write_text(f"{before}{opening}\n{text}\n{closing}{after}", "utf-8")
