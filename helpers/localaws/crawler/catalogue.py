"""Bringing the Glue catalogue to what a crawl found, by the crawler's schema change policy.

New tables and partitions are written whatever the policy. UPDATE_IN_DATABASE writes a table's definition anew, so columns and
parameters that the crawler did not set go; LOG leaves it; MergeNewColumns only adds columns, and marks a table as deprecated
whose data now have another classification, compression or delimiter. InheritFromTable gives partitions, old and new, all that
their table says. What is no longer found is deleted, marked as deprecated or only
logged. [C] AWS_FACTS.md part 5. Choices ([U]): a partition whose folder is gone is deleted by DELETE_FROM_DATABASE and stays
otherwise (only a *table* can be marked as deprecated); a table counts as updated when its columns, keys or partitions changed.
"""
from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from .group import FoundTable, Group
from .infer import hive
from .options import configuration

_BATCH = 100  # partitions of one call: the limit of BatchCreatePartition and BatchUpdatePartition
_BATCH_OF_READS = 1000  # and that of BatchGetPartition
_DEPRECATED = "DEPRECATED_BY_CRAWLER"
_FUNDAMENTAL = ("classification", "compressionType", "delimiter")  # a table that keeps its columns cannot follow these [C]
_OF_TABLES = ("UPDATED_BY_CRAWLER", "partition_filtering.enabled", _DEPRECATED)  # parameters that partitions do not have
_NAME_LENGTH = 255  # [C] BC:glue
_TABLE_INPUT = ("Name", "Owner", "Retention", "TableType", "PartitionKeys", "StorageDescriptor")


class Catalogue:
    """One crawl's changes to the crawler's database.

    glue: a client with the crawler's role; settings: the crawler's; say: writes a line to the crawler's log.
    """

    def __init__(self, glue, settings: dict[str, Any], crawl_id: str, say: Callable[[str], None]):
        self._glue, self._settings, self._crawl_id, self._say = glue, settings, crawl_id, say
        self._database = settings["DatabaseName"]
        self._options = configuration(settings.get("Configuration"))
        self._merge = "CrawlerOutput.Tables.AddOrUpdateBehavior" in self._options  # MergeNewColumns overrides the policy [C]
        self._inherit = "CrawlerOutput.Partitions.AddOrUpdateBehavior" in self._options
        self._update = self._merge or settings["SchemaChangePolicy"]["UpdateBehavior"] == "UPDATE_IN_DATABASE"
        self._delete = settings["SchemaChangePolicy"]["DeleteBehavior"]
        self.created, self.updated, self.deleted = set[str](), set[str](), set[str]()

    def write(self, found: list[FoundTable], targets: Iterable[str]) -> None:
        """Create and change what was found; then see to tables of this crawler below `targets` that were not found."""
        most = self._options.get("CrawlerOutput.Tables.TableThreshold", len(found))
        if len(found) > most:  # [C] GL/crawler-maximum-number-of-tables
            for table in found:
                self._say(f"INFO : Detected a table at {table.location}")
            raise RuntimeError(f"Detected {len(found)} tables, more than the TableThreshold of {most}; nothing is written")
        self._ensure_database()
        pages = self._glue.get_paginator("get_tables").paginate(DatabaseName=self._database)
        tables = {table["Name"]: table for page in pages for table in page["TableList"]}
        seen = set[str]()
        for table in found:
            name = self._name(table, tables)
            seen.add(name)
            self._write_table(table, name, self._as_it_is(name) if name in tables else None)
            tables.setdefault(name, {"Name": name, "StorageDescriptor": {"Location": table.location}})
        for name, table in tables.items():
            location = table.get("StorageDescriptor", {}).get("Location", "")
            mine = table.get("Parameters", {}).get("UPDATED_BY_CRAWLER") == self._settings["Name"]
            if mine and name not in seen and any(f"{location.rstrip('/')}/".startswith(target) for target in targets):
                self._remove_table(table)

    def _as_it_is(self, name: str) -> dict[str, Any] | None:
        """The table's definition just before it is written: other tables were written since all were listed.

        Which calls a crawl on AWS makes is documented nowhere [U]; AWS's own policy for crawlers allows them all.
        """
        try:
            return self._glue.get_table(DatabaseName=self._database, Name=name)["Table"]
        except self._glue.exceptions.EntityNotFoundException:
            return None

    def _ensure_database(self) -> None:
        try:
            self._glue.get_database(Name=self._database)
        except self._glue.exceptions.EntityNotFoundException:
            self._glue.create_database(DatabaseInput={"Name": self._database})
            self._say(f"INFO : Created database {self._database}")

    def _name(self, found: FoundTable, tables: dict[str, Any]) -> str:
        """The table's name; with the md5 of its location behind it where that name belongs to another location [C].

        So too, and cut, where it is longer than the catalogue takes ([U]).
        """
        name = self._settings.get("TablePrefix", "").lower() + found.name
        holder = tables.get(name)
        elsewhere = holder and holder.get("StorageDescriptor", {}).get("Location", "").rstrip("/") != found.location.rstrip("/")
        if elsewhere or len(name) > _NAME_LENGTH:
            suffix = "_" + hashlib.md5(found.location.encode(), usedforsecurity=False).hexdigest()
            name = name[:_NAME_LENGTH - len(suffix)] + suffix
        return name

    def _write_table(self, found: FoundTable, name: str, existing: dict[str, Any] | None) -> None:
        wanted = self._table_input(found, name)
        if existing is None:
            self._glue.create_table(DatabaseName=self._database, TableInput=wanted)
            self.created.add(name)
            self._say(f"INFO : Created table {name} in database {self._database}")
            return self._write_partitions(found, name, wanted, moved=False)
        if self._merge:
            if differing := [key for key in _FUNDAMENTAL if wanted["Parameters"].get(key) != existing["Parameters"].get(key)]:
                self._say(f"WARN : The data of table {name} differ from it in {', '.join(differing)}, which needs to be resolved")
                return self._deprecate(existing)
            wanted = _merged(wanted, existing)
        changed, moved = _schema(wanted) != _schema(existing), wanted["PartitionKeys"] != existing.get("PartitionKeys")
        if self._update:
            self._glue.update_table(DatabaseName=self._database, TableInput=wanted)
        if changed and self._update:
            self.updated.add(name)
            self._say(f"INFO : Updated table {name} in database {self._database}")
        elif changed:
            self._say(f"INFO : The schema of table {name} has changed; by the schema change policy it is not updated")
        if self._update or not moved:
            self._write_partitions(found, name, wanted if self._update else existing, moved)

    def _write_partitions(self, found: FoundTable, name: str, table: dict[str, Any], moved: bool) -> None:
        """table: as it now is; moved: its partition keys are others than before, so that the old partitions mean nothing."""
        where = {"DatabaseName": self._database, "TableName": name}
        found_partitions = list(found.partitions())
        existing = self._partitions(where, {values for values, _, _ in found_partitions})
        if moved:
            self._delete_partitions(where, existing)
            existing = {}
        new, changed, gone = [], [], dict(existing)
        for values, location, group in found_partitions:
            gone.pop(values, None)
            storage = self._inherited(table, group, location) if self._inherit else self._storage(group, location)
            entry = {"Values": list(values), "StorageDescriptor": storage, "Parameters": storage["Parameters"]}
            if values not in existing:
                new.append(entry)
                continue
            if self._merge and not self._inherit:
                entry = _merged(entry, existing[values])
            if (self._update or self._inherit) and _schema(entry) != _schema(existing[values]):
                changed.append({"PartitionValueList": list(values), "PartitionInput": entry})
        for batch in _batches(new):
            self._checked(self._glue.batch_create_partition(**where, PartitionInputList=batch), "AlreadyExistsException")
        for batch in _batches(changed):
            self._checked(self._glue.batch_update_partition(**where, Entries=batch), "EntityNotFoundException")
        if gone and self._delete == "DELETE_FROM_DATABASE":
            self._delete_partitions(where, gone)
        elif gone:
            self._say(f"INFO : Folders of {len(gone)} partitions of table {name} are gone; by the schema change policy "
                      "the partitions stay")
        if new:
            self._say(f"INFO : Created partitions with values {[p['Values'] for p in new[:20]]} for table {name} "
                      f"in database {self._database} ({len(new)} in all)")
        if name not in self.created and (new or changed or gone and self._delete == "DELETE_FROM_DATABASE"):
            self.updated.add(name)

    def _partitions(self, where: dict[str, str], wanted: Collection[tuple[str, ...]]) -> dict[tuple[str, ...], dict[str, Any]]:
        """The table's partitions by their values: those that are `wanted` in full, the others without their columns."""
        pages = self._glue.get_paginator("get_partitions").paginate(**where, ExcludeColumnSchema=True)
        existing = {tuple(p["Values"]): p for page in pages for p in page["Partitions"]}
        for batch in _batches([{"Values": list(values)} for values in existing if values in wanted], _BATCH_OF_READS):
            for partition in self._glue.batch_get_partition(**where, PartitionsToGet=batch)["Partitions"]:
                existing[tuple(partition["Values"])] = partition
        return existing

    def _delete_partitions(self, where: dict[str, str], partitions: Collection[tuple[str, ...]]) -> None:
        for values in partitions:
            self._glue.delete_partition(**where, PartitionValues=list(values))
        self._say(f"INFO : Deleted {len(partitions)} partitions of table {where['TableName']}")

    def _checked(self, answer: dict[str, Any], harmless: str) -> None:
        """Batch calls succeed with errors inside; one that somebody else was quicker is none."""
        for error in answer.get("Errors", []):
            detail = error.get("ErrorDetail", {})
            if detail.get("ErrorCode") != harmless:
                raise RuntimeError(f"{detail.get('ErrorCode')}: {detail.get('ErrorMessage')}")

    def _remove_table(self, table: dict[str, Any]) -> None:
        name = table["Name"]
        if self._delete == "DELETE_FROM_DATABASE":
            self._glue.delete_table(DatabaseName=self._database, Name=name)
            self.deleted.add(name)
            self._say(f"INFO : Deleted table {name} in database {self._database}")
        elif self._delete == "LOG":
            self._say(f"INFO : The data of table {name} is gone; by the schema change policy the table stays")
        else:
            self._deprecate(table)

    def _deprecate(self, table: dict[str, Any]) -> None:
        if _DEPRECATED not in table["Parameters"]:
            kept = {member: table[member] for member in _TABLE_INPUT if member in table}
            deprecated = table["Parameters"] | {_DEPRECATED: str(int(time.time() * 1000))}
            self._glue.update_table(DatabaseName=self._database, TableInput=kept | {"Parameters": deprecated})
            self.updated.add(table["Name"])
            self._say(f"INFO : Deprecated table {table['Name']} in database {self._database}")

    def _table_input(self, found: FoundTable, name: str) -> dict[str, Any]:
        """A table as a crawler writes it. [C] AWS_FACTS.md part 5, from public dumps"""
        more = {"UPDATED_BY_CRAWLER": self._settings["Name"]}
        if found.partition_keys:
            more["partition_filtering.enabled"] = "true"
        storage = self._storage(found, found.location, more)
        return {"Name": name, "Owner": "owner", "Retention": 0, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage,
                "PartitionKeys": [{"Name": key, "Type": "string"} for key in found.partition_keys],
                "Parameters": storage["Parameters"]}

    def _storage(self, group: Group, location: str, more: dict[str, str] | None = None) -> dict[str, Any]:
        """The StorageDescriptor; the table or partition repeats its Parameters. more: parameters of a table."""
        form = group.format
        parameters = {"CRAWL_RUN_ID": self._crawl_id, "CrawlerSchemaDeserializerVersion": "1.0",
                      "CrawlerSchemaSerializerVersion": "1.0", "classification": form.classification, "typeOfData": "file",
                      "compressionType": group.compression, **form.parameters, **group.statistics, **(more or {})}
        serde = form.serde | ({"paths": group.paths} if group.paths else {})
        reads, writes = form.input_and_output
        return {"Columns": [{"Name": name, "Type": hive(type_)} for name, type_ in group.columns.items()], "Location": location,
                "InputFormat": reads, "OutputFormat": writes, "Compressed": group.compression != "none", "NumberOfBuckets": -1,
                "SerdeInfo": {"SerializationLibrary": form.library, "Parameters": serde},
                "BucketColumns": [], "SortColumns": [], "StoredAsSubDirectories": False, "Parameters": parameters}

    def _inherited(self, table: dict[str, Any], group: Group, location: str) -> dict[str, Any]:
        """A partition's StorageDescriptor with all that its table says of schema and format."""
        parameters = {key: value for key, value in table["Parameters"].items() if key not in _OF_TABLES}
        return table["StorageDescriptor"] | {"Location": location, "Parameters": parameters | group.statistics}


def _merged(wanted: dict[str, Any], existing: dict[str, Any]) -> dict[str, Any]:
    """What is found, added to a table or partition whose columns, formats and foreign parameters stay. [C] MergeNewColumns"""
    storage, kept = wanted["StorageDescriptor"], existing["StorageDescriptor"]
    names = {column["Name"] for column in kept["Columns"]}
    columns = kept["Columns"] + [column for column in storage["Columns"] if column["Name"] not in names]
    serde = kept["SerdeInfo"] | {"Parameters": kept["SerdeInfo"].get("Parameters", {}) | storage["SerdeInfo"]["Parameters"]}
    parameters = existing.get("Parameters", {}) | wanted["Parameters"]
    parameters.pop(_DEPRECATED, None)
    return wanted | {"Parameters": parameters, "StorageDescriptor": kept | {
        "Columns": columns, "SerdeInfo": serde, "Location": storage["Location"], "Parameters": storage["Parameters"]}}


def _schema(entry: dict[str, Any]) -> tuple:
    """What of a table's or partition's definition is its schema, not its statistics."""
    storage = entry.get("StorageDescriptor", {})
    return (storage.get("Columns"), storage.get("Location"), storage.get("SerdeInfo"), storage.get("Compressed"),
            entry.get("PartitionKeys"), _DEPRECATED in entry.get("Parameters", {}))


def _batches(entries: list[Any], size: int = _BATCH) -> Iterable[list[Any]]:
    return (entries[at:at + size] for at in range(0, len(entries), size))
