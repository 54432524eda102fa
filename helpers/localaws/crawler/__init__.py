"""Glue crawlers and classifiers: infer tables and partitions of S3 objects and write them to the Glue catalogue."""
from .control import Crawlers

__all__ = ["Crawlers"]
