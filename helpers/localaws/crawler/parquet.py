"""The built-in Parquet classifier: the schema at the end of the file. [C] GL/add-classifier

A table of Parquet has compressionType ``none``, however its pages are compressed. [C] public dumps. Types: as Hive reads
them [L]; unsigned integers are the next larger signed type and times of day strings ([U]).
"""
from __future__ import annotations

from collections.abc import Callable

from .content import PARQUET_SERDE, Content, Format
from .infer import Type, hive

MAGIC = b"PAR1"
_FORMAT = Format("parquet", PARQUET_SERDE, {"serialization.format": "1"})
_TAIL = 64 << 10


def content(read: Callable[[int, int], bytes], size: int) -> Content:
    """read: bytes of the file from a position up to another."""
    import pyarrow.parquet  # 40 MB, for those who have Parquet alone

    tail = read(max(0, size - _TAIL), size)
    footer = int.from_bytes(tail[-8:-4], "little") + 8
    if tail[-4:] != MAGIC or footer > size:
        return Content(reason="begins as Parquet but does not end so")
    if footer > len(tail):
        tail = read(size - footer, size)
    try:
        metadata = pyarrow.parquet.read_metadata(pyarrow.BufferReader(MAGIC + tail[-footer:]))
        schema = metadata.schema.to_arrow_schema()
    except (pyarrow.ArrowException, OSError) as error:
        return Content(reason=f"is Parquet that cannot be read ({error})")
    return Content(format=_FORMAT, columns={item.name.lower(): _type(item.type) for item in schema}, records=metadata.num_rows)


def _type(arrow) -> Type:
    from pyarrow import types

    if types.is_dictionary(arrow):
        return _type(arrow.value_type)
    if types.is_struct(arrow):
        return {arrow.field(n).name.lower(): _type(arrow.field(n).type) for n in range(arrow.num_fields)}
    if types.is_map(arrow):
        return f"map<{hive(_type(arrow.key_type))},{hive(_type(arrow.item_type))}>"
    if types.is_list(arrow) or types.is_large_list(arrow) or types.is_fixed_size_list(arrow):
        return [_type(arrow.value_type)]
    if types.is_decimal(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    for test, name in ((types.is_timestamp, "timestamp"), (types.is_date, "date"), (types.is_boolean, "boolean"),
                       (types.is_float32, "float"), (types.is_floating, "double"), (types.is_int8, "tinyint"),
                       (types.is_int16, "smallint"), (types.is_uint8, "smallint"), (types.is_int32, "int"),
                       (types.is_uint16, "int"), (types.is_integer, "bigint"), (types.is_binary, "binary"),
                       (types.is_large_binary, "binary"), (types.is_fixed_size_binary, "binary")):
        if test(arrow):
            return name
    return "string"
