"""The table of `make bench`: every figure beside its target, in the place that the page keeps for it."""

import pytest

from helpers.bench import Figure, _lines
from helpers.marks import put_between_marks


@pytest.mark.parametrize("figure, cells", [
    (Figure("seconds", 1.234, "{:.2f} s", at_most=1.5), ("seconds", "1.23 s", "at most 1.50 s", "yes")),
    (Figure("seconds", 1.6, "{:.2f} s", at_most=1.5), ("seconds", "1.60 s", "at most 1.50 s", "NO")),
    (Figure("ratio", 0.5, "{:.2f}", at_least=0.45), ("ratio", "0.50", "at least 0.45", "yes")),
    (Figure("ratio", 0.4, "{:.2f}", at_least=0.45), ("ratio", "0.40", "at least 0.45", "NO")),
    (Figure("ratio", float("nan"), "{:.2f}", at_most=1.3), ("ratio", "nan", "at most 1.30", "NO")),
    (Figure("changes", 12345.6), ("changes", "12,346", "", "")),
], ids=["held", "missed", "a floor held", "a floor missed", "no number", "no target"])
def test_a_figure_says_whether_its_target_is_held(figure, cells):
    assert figure.cells == cells


def test_the_table_replaces_the_one_between_the_marks_and_nothing_else(tmp_path):
    page, table = tmp_path / "README.md", "\n".join(_lines([Figure("changes", 1)], "a machine"))
    page.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")
    for _ in range(2):
        put_between_marks(page, "bench", table)
        assert page.read_text() == f"before\n<!-- bench -->\n{table}\n<!-- /bench -->\nafter\n"
    assert "Measured on a machine." in table and "| changes | 1    |" in table
    with pytest.raises(LookupError, match="no place for time"):
        put_between_marks(page, "time", table)
