"""A query's result files, and pages of them.

The result is `<id>.csv`: every name and value in double quotes, quotes doubled, NULL empty without quotes; DDL gives `<id>.txt`,
plain lines. Beside each lies the binary `<id>.csv.metadata` (AWS_FACTS.md part 6 [C]; the form of its content is unknown and
nobody reads it, so here it only names the columns).
"""

import base64
import json
import re
import shutil
from pathlib import Path

_FIELD = re.compile(rb'("(?:[^"]|"")*"|)(,|\n)')
_CHUNK = 1 << 20


def header(query: str, columns: list[dict]) -> bytes:
    """The content of `.metadata`."""
    return b"\x0a" + json.dumps({"query": query, "columns": columns}).encode()


def write_csv(connection, sql: str, names: list[str], path: Path) -> None:
    """Run `sql`, whose columns are all text, into Athena's CSV at `path`."""
    rows = path.with_suffix(".rows")
    connection.execute(
        f"COPY ({sql}) TO '{str(rows).replace(chr(39), chr(39) * 2)}' (FORMAT csv, HEADER false, FORCE_QUOTE *, NULLSTR '')"
    )
    with path.open("wb") as out, rows.open("rb") as body:
        out.write(",".join('"' + name.replace('"', '""') + '"' for name in names).encode() + b"\n")
        shutil.copyfileobj(body, out)
    rows.unlink()


def page(s3, bucket: str, key: str, columns: int, limit: int, token: str | None) -> tuple[list[list[str | None]], str | None]:
    """Rows of a result file from where `token` points, at most `limit`, and the next page's token. ValueError for a foreign token.

    A `.csv` page starts with the header row, like any other; a row of `.txt` is one line.
    """
    at = int(base64.b64decode(token, validate=True).decode()) if token else 0
    size = s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
    parse = _csv_rows if key.endswith(".csv") else _text_rows
    rows: list = []
    data, end = b"", at
    while end < size and len(rows) <= limit:
        last = min(end + _CHUNK, size)
        data += s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={end}-{last - 1}")["Body"].read()
        end = last
        rows = parse(data, columns, limit + 1, final=end == size)
    shown = rows[:limit]
    following = base64.b64encode(str(at + shown[-1][1]).encode()).decode() if len(rows) > limit else None
    return [values for values, _ in shown], following


def _csv_rows(data: bytes, columns: int, limit: int, final: bool) -> list[tuple[list[str | None], int]]:
    """Whole rows at the start of `data`, each with the offset of its end."""
    rows, values, place = [], [], 0
    while len(rows) < limit:
        match = _FIELD.match(data, place)
        if not match:
            break
        value, place = match[1], match.end()
        values.append(value[1:-1].replace(b'""', b'"').decode() if value else None)
        if match[2] == b"\n":
            rows.append((values, place))
            values = []
    return rows


def _text_rows(data: bytes, columns: int, limit: int, final: bool) -> list[tuple[list[str | None], int]]:
    rows, place = [], 0
    while len(rows) < limit:
        end = data.find(b"\n", place)
        if end < 0:
            break
        rows.append(([data[place:end].decode()], end + 1))
        place = end + 1
    return rows
