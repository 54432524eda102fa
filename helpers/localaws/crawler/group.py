"""Which files are one table, and which folders are its partitions.

The include path is the root of one table where everything below it fits together; otherwise every folder in it is looked at
by itself, and so on down to single files. Files fit together when their format, compression and depth are the same and, unless
the crawler combines compatible schemas, the schemas are similar. [C] AWS_FACTS.md part 5: the guide's year_2017/year_2018
example. CSV files with another delimiter or without a header are of another format ([U] for the header).

A table level says at which level tables lie, whatever their schemas. [C] GL/crawler-table-level; that the bucket is level 1 is
[L]. Files above that level, and include paths below it, are grouped as without one ([U]).

How similar is similar is only known as "more than 70 %" (AWS knowledge centre, glue-crawler-detect-schema) [L]. Read here as:
two schemas are similar when more than 70 % of their column names are shared, and folders (or the files of one folder) are
alike when more than 70 % of them are similar to the commonest schema among them.
"""
from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, reduce

from .content import Content, Format
from .infer import Columns, merge

_THRESHOLD = 0.7
_HIVE = re.compile(r"(?P<key>[^=]+)=(?P<value>.*)")


@dataclass(frozen=True)
class File:
    """A recognised file: its bucket, its key split at the slashes, size in bytes, and what was found in it."""

    bucket: str
    parts: tuple[str, ...]
    size: int
    content: Content


@dataclass(frozen=True)
class Group:
    """Files described together: those of a table, or of one partition of it."""

    files: tuple[File, ...]

    @cached_property
    def columns(self) -> Columns:
        return _merged(self.files)

    @cached_property
    def paths(self) -> str:
        return ",".join(sorted({path for file in self.files for path in file.content.paths}))

    @property
    def compression(self) -> str:
        return self.files[0].content.compression

    @property
    def format(self) -> Format:
        return self.files[0].content.format

    @property
    def statistics(self) -> dict[str, str]:
        """Bytes, files and (estimated) records, as the strings a table's Parameters hold."""
        size, records = sum(f.size for f in self.files), sum(f.content.records for f in self.files)
        return {"sizeKey": str(size), "objectCount": str(len(self.files)), "recordCount": str(records),
                "averageRecordSize": str(size // records)}


@dataclass(frozen=True)
class FoundTable(Group):
    """A table the crawler found. root: the parts of its location below the bucket; a single file where `is_file`."""

    root: tuple[str, ...]
    is_file: bool = False

    @property
    def bucket(self) -> str:
        return self.files[0].bucket

    @property
    def location(self) -> str:
        return "/".join(("s3:/", self.bucket, *self.root)) + ("" if self.is_file else "/")

    @property
    def name(self) -> str:
        """The last folder (or the bucket) in lower case, with ``_`` for all that is neither letter nor digit. [C]"""
        return re.sub(r"[^a-z0-9]", "_", (self.root or (self.bucket,))[-1].lower())

    @cached_property
    def _folders(self) -> dict[tuple[str, ...], list[File]]:
        """Files by the folder they lie in, relative to the table's root; none of them in the root itself."""
        folders = {folder[len(self.root):]: files for folder, files in _by_folder(self.files).items()}
        return {folder: files for folder, files in folders.items() if folder}

    @cached_property
    def partition_keys(self) -> list[str]:
        """Hive's ``key=value`` folders name their key, others are ``partition_<level>`` [C]; so is a repeated key ([U])."""
        keys: list[str] = []
        for level, names in enumerate(zip(*self._folders)):
            found = {m["key"].lower() if (m := _HIVE.fullmatch(name)) else None for name in names}
            key = found.pop() if len(found) == 1 else None
            keys.append(key if key and key not in keys else f"partition_{level}")
        return keys

    def partitions(self) -> Iterable[tuple[tuple[str, ...], str, Group]]:
        """Values, location and files of every leaf folder."""
        for folder, files in self._folders.items():
            values = tuple(name[len(key) + 1:] if name.lower().startswith(f"{key}=") else name
                           for key, name in zip(self.partition_keys, folder))
            yield values, self.location + "/".join(folder) + "/", Group(tuple(files))


def find_tables(root: tuple[str, ...], files: list[File], combine: bool, level: int = 0) -> list[FoundTable]:
    """Tables in the files below a folder. root: the folder's parts; combine: whatever their schemas; level: of the tables."""
    if not files:
        return []
    above = len(root) + 1 < level
    if not above and _fit_together(files, combine or len(root) + 1 == level):
        return [FoundTable(tuple(files), root)]
    here = [file for file in files if len(file.parts) == len(root) + 1]
    below = defaultdict(list)
    for file in files:
        if len(file.parts) > len(root) + 1:
            below[file.parts[:len(root) + 1]].append(file)
    if above:
        return find_tables(root, here, combine) + [t for at in below for t in find_tables(at, below[at], combine, level)]
    if not below:
        return [FoundTable((file,), file.parts, is_file=True) for file in here]
    return find_tables(root, here, combine) + [t for folder in below for t in find_tables(folder, below[folder], combine)]


def _fit_together(files: list[File], combine: bool) -> bool:
    kinds = ((file.content.compression, len(file.parts), file.content.format) for file in files)
    first = next(kinds)
    if any(kind != first for kind in kinds):
        return False
    folders = _by_folder(files).values()
    return combine or (all(_alike(file.content.columns for file in inside) for inside in folders)
                       and _alike(map(_merged, folders)))


def _by_folder(files: Iterable[File]) -> dict[tuple[str, ...], list[File]]:
    folders = defaultdict(list)
    for file in files:
        folders[file.parts[:-1]].append(file)
    return folders


def _alike(schemas: Iterable[Columns]) -> bool:
    counts = Counter(frozenset(schema) for schema in schemas)
    (common, _), = counts.most_common(1)
    similar = sum(count for names, count in counts.items()
                  if names == common or len(names & common) > _THRESHOLD * len(names | common))
    return similar > _THRESHOLD * counts.total()


def _merged(files: Iterable[File]) -> Columns:
    return reduce(merge, (file.content.columns for file in files), {})
