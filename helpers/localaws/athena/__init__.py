"""The Athena joint: its API (`control`), and Trino's SQL over S3 and Glue's catalogue, run by DuckDB (`engine` and below)."""

from .control import Athena

__all__ = ["Athena"]
