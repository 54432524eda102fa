"""Reading the beginning of a compressed file.

A crawler classifies files in ZIP (of one file), BZIP, GZIP, LZ4 and Snappy, standard or Hadoop's; not in Zstandard. [C]
GL/add-classifier. Here all but LZ4. compressionType is ``gzip`` in dumps [C]; ``bzip2``, ``snappy`` and ``zip`` are the
names AWS's knowledge centre uses [L].
"""
from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Iterator
from typing import Any

_PIECE = 1024  # of compressed bytes at a time: what they stand for is known to this precision
_FRAMING, _SNAPPY_JAVA = b"\xff\x06\x00\x00sNaPpY", b"\x82SNAPPY\x00"
_MOST_IN_A_BLOCK = 64 << 20  # of Hadoop's Snappy, whose files begin with a length and no magic number


def plain(data: bytes, most: int) -> tuple[str, bytes, int]:
    """The compressionType, up to about `most` bytes of the content, and how many of the bytes of `data` they stand for.

    A broken end is left out: what comes before it still says what the file is.
    """
    if data.startswith(b"\x1f\x8b"):
        return "gzip", *_inflate(lambda: zlib.decompressobj(31), data, most)
    if data.startswith(b"BZh"):
        return "bzip2", *_inflate(bz2.BZ2Decompressor, data, most)
    if data.startswith(b"PK\x03\x04") and int.from_bytes(data[8:10], "little") == zlib.DEFLATED:
        start = 30 + int.from_bytes(data[26:28], "little") + int.from_bytes(data[28:30], "little")
        content, used = _inflate(lambda: zlib.decompressobj(-15), data[start:], most, members=1)
        several = b"PK\x03\x04" in data[start + used:start + used + 24]
        return "zip", b"" if several else content, start + used if len(content) >= most else len(data)
    for begins, blocks in ((_FRAMING, _framing), (_SNAPPY_JAVA, _snappy_java), (b"\x00", _hadoop)):
        if data.startswith(begins) and (found := _joined(blocks(data), most)):
            return "snappy", *found
    return "none", data[:most], min(most, len(data))


def _inflate(make: Callable[[], Any], data: bytes, most: int, members: int = 1 << 30) -> tuple[bytes, int]:
    """make: a new decompressor; gzip and bzip2 files may hold several members one after another."""
    content, at, member = bytearray(), 0, make()
    try:
        while at < len(data) and len(content) < most:
            if member.eof:
                members, member = members - 1, make()
                if not members:
                    break
            piece = data[at:at + _PIECE]
            content += member.decompress(piece)
            at += len(piece) - len(member.unused_data)
    except (zlib.error, OSError):
        pass
    return bytes(content), max(1, at)


def _joined(blocks: Iterator[tuple[bytes, int]], most: int) -> tuple[bytes, int] | None:
    """blocks: each with where it ends in the file; None where there is none."""
    content, used = bytearray(), 0
    try:
        for block, used in blocks:
            content += block
            if len(content) >= most:
                break
    except (OSError, ValueError):  # pyarrow's errors are among them
        pass
    return (bytes(content), used) if content else None


def _framing(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The standard stream: chunks of a kind and three bytes of length; data begin with four bytes of a checksum."""
    at = len(_FRAMING)
    while at + 4 < len(data):
        kind, end = data[at], at + 4 + int.from_bytes(data[at + 1:at + 4], "little")
        if kind < 2:
            yield _block(data[at + 8:end]) if kind == 0 else data[at + 8:end], end
        at = end


def _snappy_java(data: bytes) -> Iterator[tuple[bytes, int]]:
    """snappy-java's stream, which Firehose writes as "Snappy": two versions, then blocks behind their lengths."""
    at = len(_SNAPPY_JAVA) + 8
    while at + 4 < len(data):
        end = at + 4 + int.from_bytes(data[at:at + 4], "big")
        yield _block(data[at + 4:end]), end
        at = end


def _hadoop(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Hadoop's own: the length of what comes, then blocks behind their lengths until it is reached, and again."""
    at = 0
    while at + 8 < len(data):
        left, at = int.from_bytes(data[at:at + 4], "big"), at + 4
        if not 0 < left <= _MOST_IN_A_BLOCK:
            return
        while left > 0 and at + 4 < len(data):
            end = at + 4 + int.from_bytes(data[at:at + 4], "big")
            block = _block(data[at + 4:end])
            yield block, end
            at, left = end, left - max(1, len(block))


def _block(data: bytes) -> bytes:
    """One block of Snappy; its length, seven bits a byte, comes first."""
    import pyarrow  # 40 MB, for those who have Snappy alone

    size = shift = 0
    for byte in data[:5]:
        size, shift = size | (byte & 127) << shift, shift + 7
        if byte < 128:
            break
    if not 0 < size <= _MOST_IN_A_BLOCK:
        raise ValueError("no Snappy")
    return pyarrow.decompress(data, size, codec="snappy", asbytes=True)
