"""What classifiers are given and what they answer: the text of a file's beginning, and what was found in it."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .infer import Columns

JSON_SERDE = "org.openx.data.jsonserde.JsonSerDe"
LAZY_SERDE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
OPEN_CSV_SERDE = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
GROK_SERDE = "com.amazonaws.glue.serde.GrokSerDe"
PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"

_TEXT = ("org.apache.hadoop.mapred.TextInputFormat", "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat")
_PARQUET = ("org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat")


@dataclass(frozen=True)
class Format:
    """How files are read: what a table's definition says of it. serde: the SerDe's parameters; parameters: the table's."""

    classification: str
    library: str
    serde: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def input_and_output(self) -> tuple[str, str]:
        return _PARQUET if self.library == PARQUET_SERDE else _TEXT


@dataclass(frozen=True)
class Content:
    """What was learnt of one file. `format` is None where no classifier recognised it: classification UNKNOWN, and `reason` why."""

    compression: str = "none"  # a table's compressionType
    format: Format | None = None
    columns: Columns = field(default_factory=dict)
    paths: tuple[str, ...] = ()  # of JSON: the top-level names in their original case
    records: int = 0  # of a classifier: in the sample; then: estimated for the whole file
    reason: str = ""

    def stored(self) -> dict[str, Any]:
        """Plain JSON; `restored` reads it."""
        return vars(self) | {"format": self.format and vars(self.format)}


def restored(stored: dict[str, Any]) -> Content:
    form = stored["format"]
    return Content(**stored | {"format": form and Format(**form), "paths": tuple(stored["paths"])})


@dataclass(frozen=True)
class Sample:
    """The beginning of a file as text, or all of it where `whole`."""

    text: str
    whole: bool

    def lines(self, most: int) -> list[str]:
        """Complete lines that are not blank, `most` at most."""
        lines = self.text.split("\n")
        return [line.rstrip("\r") for line in (lines if self.whole else lines[:-1]) if line.strip()][:most]
