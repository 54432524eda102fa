"""Records that the Kinesis Producer Library packed into one: Firehose takes them apart before anything else [C, FH basic-deliver]."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace

from .transform import Source

_MAGIC = b"\xf3\x89\x9a\xc2"
_MAGIC_BASE64 = base64.b64encode(_MAGIC)[:4].decode()  # of the first three bytes: tells nearly all records without decoding them


def unpacked(record: Source) -> list[Source]:
    """What `record` packs, in order, all with its sequence number; itself alone if it is not such a pack, or a broken one.

    A pack is the magic number, a message of protocol buffers and its MD5: partition keys in field 1, records in field 3, each
    with the number of its key in field 1 and its data in field 3 [C, KPL aggregation format].
    """
    if not record.data.startswith(_MAGIC_BASE64):
        return [record]
    packed = base64.b64decode(record.data)
    message, digest = packed[len(_MAGIC):-16], packed[-16:]
    if not packed.startswith(_MAGIC) or hashlib.md5(message, usedforsecurity=False).digest() != digest:
        return [record]
    try:
        fields = list(_fields(message))
        keys = [value.decode() for number, value in fields if number == 1]
        entries = [dict(_fields(value)) for number, value in fields if number == 3]
        found = [replace(record, key=keys[entry[1]], data=base64.b64encode(entry[3]).decode(), sub=sub)
                 for sub, entry in enumerate(entries)]
    except (LookupError, ValueError, TypeError, AttributeError):
        return [record]
    for each in found[:-1]:
        each.last = False
    return found or [record]


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffers message, numbers (wire type 0) and lengths with bytes (2): all that a pack uses."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while position < len(message):
        number, kind = divmod(varint(), 8)
        value = varint()
        if kind == 2:
            position += value
            yield number, message[position - value:position]
        elif kind == 0:
            yield number, value
        else:
            raise ValueError(f"wire type {kind}")
