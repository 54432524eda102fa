"""EXPLAIN's text: DuckDB's plan of a query, its operators under Trino's names, its tables under the catalogue's.

Form and estimates of Athena's own plans are its optimizer's; this one is said to be of another engine, so that nobody tunes by it.
"""

import re
from collections.abc import Iterator

_OPERATORS = {
    "SEQ_SCAN": "TableScan", "TABLE_SCAN": "TableScan", "COLUMN_DATA_SCAN": "Values", "DUMMY_SCAN": "Values", "EMPTY_RESULT": "Values",
    "PROJECTION": "Project", "FILTER": "Filter", "HASH_GROUP_BY": "Aggregate", "PERFECT_HASH_GROUP_BY": "Aggregate",
    "UNGROUPED_AGGREGATE": "Aggregate", "ORDER_BY": "Sort", "TOP_N": "TopN", "LIMIT": "Limit", "STREAMING_LIMIT": "Limit",
    "LIMIT_PERCENT": "Limit", "WINDOW": "Window", "STREAMING_WINDOW": "Window", "UNION": "Union", "CROSS_PRODUCT": "CrossJoin",
    "UNNEST": "Unnest", "CTE": "With", "CTE_SCAN": "WithScan"}


def text(plan: list[dict], names: dict[str, str]) -> list[str]:
    """The lines of DuckDB's plan (EXPLAIN's JSON); `names` of the tables behind its relations."""
    return ["Plan of the local AWS's engine (DuckDB), not of Trino", *(line for node in plan for line in _lines(node, names, 0))]


def _lines(node: dict, names: dict[str, str], depth: int) -> Iterator[str]:
    details = dict(node["extra_info"])
    name = node["name"].strip()
    if name.endswith("JOIN"):
        operator = f"{details.pop('Join Type', 'INNER').title().replace('_', '')}Join"
    else:
        operator = _OPERATORS.get(name, name.title().replace("_", ""))
    if "Table" in details:
        relation = details.pop("Table").rpartition(".")[2]
        details = {"table": names.get(relation, relation), **details}
    shown = [f"{key.lower()} = {re.sub(r' +', ' ', ', '.join(value) if isinstance(value, list) else value)}"
             for key, value in details.items() if key not in ("Estimated Cardinality", "Type") and value]
    yield f"{'    ' * depth}- {operator}[{'; '.join(shown)}]".replace("\n", " ")
    for child in node["children"]:
        yield from _lines(child, names, depth + 1)
