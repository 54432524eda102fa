"""How an object's records are compressed: bytes, key extension and Content-Encoding of each CompressionFormat.

As found on objects that AWS delivered [L, FLP: floci issue 2328]. HADOOP_SNAPPY's extension is AWS's documented .hsnappy in
no object seen, but .snappy.
"""

import gzip
import io
import uuid
import zipfile
from collections.abc import Callable
from typing import NamedTuple

_BLOCK = 32 * 1024  # what snappy-java compresses at a time


class Compression(NamedTuple):
    compress: Callable[[bytes], bytes]
    extension: str
    encoding: str | None


def _zip(body: bytes) -> bytes:
    """One file, whose name says nothing."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(str(uuid.uuid4()), body)
    return archive.getvalue()


def _snappy_blocks(body: bytes, *, with_length: bool) -> bytes:
    """Blocks of Snappy, each behind its length; Hadoop's reader also wants that of what is in it, first."""
    import pyarrow  # 40 MB, for those who ask for Snappy alone; awswrangler brings it

    parts = []
    for start in range(0, len(body), _BLOCK):
        block = body[start:start + _BLOCK]
        compressed = pyarrow.compress(block, codec="snappy", asbytes=True)
        lengths = (len(block), len(compressed)) if with_length else (len(compressed),)
        parts += [*(length.to_bytes(4, "big") for length in lengths), compressed]
    return b"".join(parts)


def _snappy_java(body: bytes) -> bytes:
    """snappy-java's own stream, not the official framing format: a magic number, its version and the oldest one that can read it."""
    return b"\x82SNAPPY\x00" + (1).to_bytes(4, "big") * 2 + _snappy_blocks(body, with_length=False)


FORMATS = {
    "UNCOMPRESSED": Compression(lambda body: body, "", None),
    "GZIP": Compression(gzip.compress, ".gz", "gzip"),
    "ZIP": Compression(_zip, ".zip", "zip"),
    "Snappy": Compression(_snappy_java, ".snappy", "snappy-java"),
    "HADOOP_SNAPPY": Compression(lambda body: _snappy_blocks(body, with_length=True), ".snappy", "hadoop-snappy"),
}
