"""How a query fails: the sentence that Athena puts into StateChangeReason, and its error numbers.

ErrorCategory 1 is Athena's own fault, 2 the user's (Athena user guide, error catalogue). ErrorType 1006 and 1301 are captured
for COLUMN_NOT_FOUND and TABLE_NOT_FOUND (AWS_FACTS.md part 6); the other names' numbers are unknown and read as 1000, "user
error", except data errors (1001).
"""

import re

_TYPES = {"COLUMN_NOT_FOUND": 1006, "TABLE_NOT_FOUND": 1301, "HIVE_BAD_DATA": 1001, "HIVE_CURSOR_ERROR": 1001}


class QueryFailure(Exception):
    """The query ends FAILED with `NAME: message`; `at` is an offset into the query text, shown as line and column."""

    def __init__(self, name: str, message: str, *, at: int | None = None, category: int = 2):
        super().__init__(f"{name}: {message}")
        self.name, self.message, self.at, self.category = name, message, at, category

    def reason(self, sql: str) -> str:
        return f"{self.name}: {position(sql, self.at)}{self.message}"

    def error(self, sql: str) -> dict:
        """The AthenaError structure of GetQueryExecution."""
        return {"ErrorCategory": self.category, "ErrorType": _TYPES.get(self.name, 1000) if self.category == 2 else 200,
                "Retryable": False, "ErrorMessage": self.reason(sql)}


class ParseFailure(Exception):
    """The text is not a statement: StartQueryExecution itself refuses it. The message starts with `line L:C: `."""


def position(sql: str, at: int | None) -> str:
    """`line 1:8: ` as Trino counts: both from 1. Nothing where no position is known."""
    if at is None:
        return ""
    before = sql[:at]
    return f"line {before.count(chr(10)) + 1}:{at - (before.rfind(chr(10)) + 1) + 1}: "


def not_supported(what: str, at: int | None = None) -> QueryFailure:
    return QueryFailure("NOT_SUPPORTED", f"The local AWS does not support {what}", at=at)


# --- DuckDB's words in Trino's ------------------------------------------------------------------------------------------------
_SIGNS = {"addition": "+", "subtraction": "-", "multiplication": "*"}
_KINDS = {"INT8": "tinyint", "INT16": "smallint", "INT32": "integer", "INT64": "bigint"}
_OPERATORS = {"t_add": "+", "t_sub": "-", "t_concat": "||", "k_div": "/", "k_mod": "%", "k_sum": "sum", "k_avg": "avg", "list_concat": "||",
              "string_split": "split", "regexp_matches": "regexp_like", "encode": "to_utf8", "base64": "to_base64", "list_contains": "contains",
              "levenshtein": "levenshtein_distance", "isnan": "is_nan"}


def out_of_range(message: str) -> QueryFailure:
    """`integer addition overflow: 2147483647 + 1`."""
    found = re.search(r"Overflow in (\w+) of (INT\d+) \((.*)\)", message)
    if found and found[1] in _SIGNS and found[2] in _KINDS:
        message = f"{_KINDS[found[2]]} {found[1]} overflow: {found[3]}"
    return QueryFailure("NUMERIC_VALUE_OUT_OF_RANGE", message)


def type_failure(message: str) -> QueryFailure:
    """Arguments that a function or an operator does not take."""
    found = re.search(r"argument types '(\S+?)\((.*)\)'", message)
    if unfit := re.search(r"Macro (\w+)\(\) does not support", message):
        return QueryFailure("FUNCTION_NOT_FOUND", f"Unexpected parameters for function {re.sub(r'^[tk]_', '', unfit[1].lower())}")
    if not found:
        return QueryFailure("TYPE_MISMATCH", re.sub(r"\b[tkp]_", "", message))
    name = found[1].lower()
    kinds = [kind.replace("_literal", "").replace('"null"', "unknown") for kind in found[2].lower().split(", ")]
    if (sign := _OPERATORS.get(name, name)) in "+-*/%||" and len(kinds) > 1:
        return QueryFailure("TYPE_MISMATCH", f"Cannot apply operator: {kinds[0]} {sign} {kinds[1]}")
    name = re.sub(r"^[tkp]_", "", sign)
    return QueryFailure("FUNCTION_NOT_FOUND", f"Unexpected parameters ({', '.join(kinds)}) for function {name}")
