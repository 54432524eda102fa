"""Objects of S3 as a query finds them: listed, fetched, and kept in local copies, the text formats' as columns.

What a text object holds under a SerDe's rules never changes (an object is known by its ETag), so it is read once: the first query
that needs it writes its values, still as text, into a Parquet file, a *copy*, together with all else that this query found new.
Later queries read the columns they need out of that.
"""

import bz2
import contextlib
import datetime
import gzip
import hashlib
import itertools
import json
import os
import re
import shutil
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import urllib3

from .errors import QueryFailure, not_supported
from .types import sql_text

LONGEST = 128 << 20  # bytes of one line
KEPT = 2 << 30  # bytes on disk that stay when no query runs
_FETCHERS = 4
_BATCH = 1_000, 256 << 20  # objects, or their bytes, that are fetched and turned into one copy at a time
_READ_BY_DUCKDB = (".gz", ".zst")
_UNPACKED = {".bz2": bz2.decompress, ".deflate": zlib.decompress}
_REFUSED = (".snappy", ".lzo", ".lz4", ".br", ".xz")


@dataclass(frozen=True)
class S3Object:
    bucket: str
    key: str
    etag: str
    size: int
    modified: datetime.datetime

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def split_uri(uri: str) -> tuple[str, str]:
    bucket, _, key = re.sub(r"^s3[an]?://", "", uri).partition("/")
    return bucket, key


def list_objects(s3, location: str) -> list[S3Object]:
    """The data objects under a location; files and folders that start with _ or . do not count."""
    bucket, prefix = split_uri(location)
    prefix = prefix.rstrip("/") + "/" if prefix.rstrip("/") else ""
    return [S3Object(bucket, item["Key"], item["ETag"], item["Size"], item["LastModified"])
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for item in page.get("Contents", [])
            if item["Size"] and not any(part.startswith(("_", ".")) for part in item["Key"][len(prefix):].split("/"))]


class ObjectCache:
    """Local copies shared by all queries, at most KEPT bytes of them; nothing outlives the process that made it."""

    def __init__(self, directory: Path):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.directory = directory
        self._copies: dict[tuple, dict[S3Object, tuple[int, Path]]] = {}  # by the rules they were read under
        self._numbers = itertools.count()
        self._lock, self._making, self._users = threading.Lock(), threading.Lock(), 0

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """While a query reads from here. When none does any more, what was not used for longest goes."""
        with self._lock:
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._trim()

    def _trim(self) -> None:
        found = sorted((path.stat().st_mtime_ns, path.stat().st_size, path) for path in self.directory.iterdir())
        excess = sum(size for _, size, _ in found) - KEPT
        for _, size, path in found:
            if excess <= 0:
                return
            path.unlink()
            excess -= size
            for known in self._copies.values():
                for item in [item for item, (_, copy) in known.items() if copy == path]:
                    del known[item]

    def fetch(self, s3, objects: list[S3Object]) -> list[Path]:
        """The objects as files; DuckDB and `open_text` unpack what is packed by their names."""
        with ThreadPoolExecutor(_FETCHERS) as pool:
            return list(pool.map(lambda item: self._fetch_one(s3, item), objects))

    def _fetch_one(self, s3, item: S3Object) -> Path:
        suffix = Path(item.key).suffix
        if suffix in _REFUSED:
            raise not_supported(f"{suffix} files")
        kept = suffix if suffix in _READ_BY_DUCKDB else ""
        path = self.directory / (hashlib.sha1(f"{item.uri}\n{item.etag}".encode()).hexdigest() + kept)
        if path.exists():
            os.utime(path)
            return path
        temporary = path.with_name(f"{path.name}.{next(self._numbers)}.part")
        with temporary.open("wb") as file:
            body = _body(s3, item)
            if suffix in _UNPACKED:
                file.write(_UNPACKED[suffix](body.read()))
            else:
                shutil.copyfileobj(body, file, 1 << 20)
        os.replace(temporary, path)
        return path

    def copies(self, connection, s3, form, objects: list[S3Object]) -> list[tuple[int, Path]]:
        """For each object its number, which stands in the column `o`, and the copy that holds its rows under `form`'s rules."""
        with self._making:
            known = self._copies.setdefault(form.rules, {})
            for batch in _batches([item for item in objects if item not in known]):
                known.update(self._copy(connection, s3, form, batch))
            found = [known[item] for item in objects]
        for path in {path for _, path in found}:
            os.utime(path)
        return found

    def holds(self, form, copies: list[Path]) -> set[int]:
        """The numbers of all objects in these copies."""
        return {number for number, path in list(self._copies[form.rules].values()) if path in copies}

    def _copy(self, connection, s3, form, objects: list[S3Object]) -> dict[S3Object, tuple[int, Path]]:
        paths = self.fetch(s3, objects)
        numbers = dict(zip(paths, self._numbers))
        rewritten: dict[Path, Path] = {}
        target = self.directory / f"{next(self._numbers)}.parquet"
        try:
            for path in form.odd(connection, paths):
                rewritten[path] = target.with_name(f"{numbers[path]}.json")
                with open_text(path) as lines, rewritten[path].open("w", encoding="utf-8") as out:
                    for row in form.rows(lines):
                        out.write(json.dumps({f"c{n}": value for n, value in enumerate(row)}, ensure_ascii=False) + "\n")
            plain = [path for path in numbers if path not in rewritten]
            sources = [form.source(plain)] if plain else []
            if rewritten:
                shape = ", ".join(f"c{n}: '{kind}'" for n, kind in enumerate(form.shape))
                sources.append(f"SELECT * FROM {json_lines(list(rewritten.values()), shape)}")
            files = {str(rewritten.get(path, path)): number for path, number in numbers.items()}
            connection.execute(
                f"COPY (SELECT t_m.o, t_d.* EXCLUDE (filename) FROM ({' UNION ALL BY NAME '.join(sources)}) AS t_d JOIN "
                "(SELECT unnest($files) AS f, unnest($numbers) AS o) AS t_m ON t_d.filename = t_m.f) "
                f"TO {sql_text(str(target))} (FORMAT parquet, COMPRESSION lz4)",
                {"files": list(files), "numbers": list(files.values())})
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        finally:
            for path in rewritten.values():
                path.unlink(missing_ok=True)
        for path in paths:
            path.unlink(missing_ok=True)  # two objects of the same name and content share one
        return {item: (numbers[path], target) for item, path in zip(objects, paths)}


def _batches(objects: list[S3Object]) -> Iterator[list[S3Object]]:
    batch, size = [], 0
    for item in objects:
        if batch and (len(batch) >= _BATCH[0] or size + item.size > _BATCH[1]):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch


_http = urllib3.PoolManager(maxsize=_FETCHERS)


def _body(s3, item: S3Object):
    """The object's bytes as a stream. A signed URL takes a third of the time of boto3's call, which is left to say what is wrong.

    An object that was overwritten after it was listed fails the query; what AWS says then is [U].
    """
    where = {"Bucket": item.bucket, "Key": item.key}
    answer = _http.request("GET", s3.generate_presigned_url("get_object", Params=where), preload_content=False, decode_content=False)
    etag, body = answer.headers.get("ETag"), answer
    if answer.status != 200:
        answer.drain_conn()
        answer = s3.get_object(**where)
        etag, body = answer["ETag"], answer["Body"]
    if etag != item.etag:
        raise QueryFailure("HIVE_CANNOT_OPEN_SPLIT", f"Error opening Hive split {item.uri}: the object changed while the query ran")
    return body


def open_text(path: Path):
    """The lines of a fetched object."""
    if path.suffix == ".zst":
        raise not_supported("zstd-compressed text that only the slow reader can read")
    opened = gzip.open if path.suffix == ".gz" else open
    return opened(path, "rt", encoding="utf-8", errors="replace", newline="\n")


def file_list(paths: list[Path]) -> str:
    return f"[{', '.join(sql_text(str(path)) for path in paths)}]"


def json_lines(paths: list[Path], shape: str) -> str:
    """DuckDB's reader of one object a line."""
    return (f"read_json({file_list(paths)}, format='newline_delimited', columns={{{shape}}}, filename=true, "
            f"maximum_object_size={LONGEST})")


def text_lines(paths: list[Path], skip: int = 0) -> str:
    """DuckDB's reader of lines: `filename` and `line`, NULL for an empty one."""
    return (f"read_csv({file_list(paths)}, columns={{line: 'VARCHAR'}}, header=false, auto_detect=false, delim='\x01\x02', quote='', "
            f"escape='', skip={skip}, max_line_size={LONGEST}, filename=true)")
