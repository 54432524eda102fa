"""One crawl: list the targets, read what is new, group it into tables, write the catalogue, say how it went.

It runs in a thread of its own as an ordinary AWS client with the crawler's role. AWS names AWSGlueServiceRole, or "a scoped down
version", and s3:GetObject as what that role needs [C, GL/crawler-prereqs], not the calls of a crawl [U]. Here they are, on what is
crawled, s3:GetBucketLocation, ListBucket, GetObject; on the database glue:GetDatabase (and CreateDatabase where it is missing),
GetTables, GetTable, CreateTable, UpdateTable, GetPartitions, BatchGetPartition, BatchCreatePartition, BatchUpdatePartition, and
DeleteTable and DeletePartition where something is to be deleted; and logs:CreateLogGroup, CreateLogStream, PutLogEvents.
A role that may not write logs loses the log, not the crawl ([U] on AWS; the crawl's outcome is what matters more).
"""
from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ..service import Context
from .catalogue import Catalogue
from .classify import Classifier, classify
from .content import Content
from .group import File, FoundTable, find_tables
from .memory import Memory, Seen
from .options import configuration, glob, role_arn, split_path

# A small crawl takes AWS 1-2 minutes, most of it start-up [L]: 60 AWS seconds in all.
STARTING_SECONDS, STOPPING_SECONDS = 45, 15
READERS = 8
LOG_GROUP = "/aws-glue/crawlers"

Listing = dict[str, tuple[str, int]]  # by object, as "bucket/key": its ETag and size in bytes


class Stopped(Exception):
    """The crawl is to end: StopCrawler, or the local AWS itself stops."""


class Crawl(threading.Thread):
    """The work of one run.

    settings: the crawler's, as GetCrawler shows them; classifiers: its own, in order. Set `stopping` to end it
    early. At the end `finished` is called with this crawl: `failed` tells how it went, `message` why or what was odd,
    `changes` the numbers of tables created, updated and deleted.
    """

    def __init__(self, context: Context, arn: str, settings: dict[str, Any], classifiers: list[Classifier], crawl_id: str,
                 finished: Callable[[Crawl], None]):
        super().__init__(name=f"crawl-{settings['Name']}", daemon=True)
        self.arn, self.crawl_id, self.stopping = arn, crawl_id, threading.Event()
        self.failed, self.message, self.changes = False, "", (0, 0, 0)
        self._context, self._settings, self._classifiers, self._finished = context, settings, classifiers, finished
        self._role = context.role(role_arn(arn.split(":")[4], settings["Role"]), service="glue.amazonaws.com", source_arn=arn)
        self._log: list[dict[str, Any]] = []
        self._regions: dict[str, str] = {}  # of the buckets

    def run(self) -> None:
        try:
            self._crawl()
        except Stopped:
            self._say("INFO : The crawl was stopped")
        except Exception as error:  # noqa: BLE001 - whatever it is, a crawler must not stay RUNNING for ever
            expected = isinstance(error, (ClientError, BotoCoreError, RuntimeError))
            self.failed, self.message = True, str(error) if expected else f"Internal error: {error!r}"
            self._say(f"ERROR : {self.message}")
            self._context.log(self.arn, f"crawl {self.crawl_id} failed: {self.message}")
        self._say("BENCHMARK : Crawler has finished running and is in state READY")
        self._write_log()
        self._finished(self)

    def _crawl(self) -> None:
        name, database = self._settings["Name"], self._settings["DatabaseName"]
        self._say(f"BENCHMARK : Running Start Crawl for Crawler {name}")
        if self._context.clock.wait(self.stopping, STARTING_SECONDS):
            raise Stopped
        self._say(f"INFO : Crawler configured with SchemaChangePolicy {json.dumps(self._settings['SchemaChangePolicy'])}.")
        memory = Memory(self._context.directory, self.arn)
        targets = self._settings["Targets"]["S3Targets"]
        listings = [self._list(target) for target in targets]
        seen = self._learn(listings, memory.load())
        self._note_unknown(seen)
        self._say(f"BENCHMARK : Classification complete, writing results to database {database}")
        found = {table.location: table for target, listing in zip(targets, listings)
                 for table in self._tables(target["Path"], listing, seen)}
        catalogue = Catalogue(self._role.client("glue"), self._settings, self.crawl_id, self._say)
        try:
            catalogue.write(list(found.values()), [_folder(target["Path"]) for target in targets])
        finally:
            self.changes = len(catalogue.created), len(catalogue.updated), len(catalogue.deleted)
        memory.save(seen)
        self._say("BENCHMARK : Finished writing to Catalog")

    def _list(self, target: dict[str, Any]) -> Listing:
        """The objects below an include path, or the one object that it names, without what is excluded or ignored.

        Ignored are empty objects (folder markers among them) and names that begin with ``_`` or ``.``, as Athena ignores them.
        With a SampleSize the first so many of each folder are taken ([U] which ones AWS takes).
        """
        bucket, prefix = split_path(target["Path"])
        folder = f"{prefix}/" if prefix else ""
        s3 = self._s3(bucket)
        objects = []
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder):
            if self.stopping.is_set():
                raise Stopped
            objects += page.get("Contents", [])
        if not objects and prefix:  # the path of one object: of all keys that begin with it, it is the first
            first = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents", [])
            objects = [item for item in first if item["Key"] == prefix]
        excluded, most = [glob(pattern) for pattern in target["Exclusions"]], target.get("SampleSize")
        listing, in_folder = Listing(), Counter[str]()
        for item in objects:
            leaf, _, name = item["Key"].rpartition("/")
            if item["Size"] and not name.startswith(("_", ".")) and (most is None or in_folder[leaf] < most) and not any(
                    pattern.fullmatch(item["Key"][len(folder):]) for pattern in excluded):
                in_folder[leaf] += 1
                listing[f"{bucket}/{item['Key']}"] = item["ETag"], item["Size"]
        return listing

    def _s3(self, bucket: str):
        """A client in the bucket's region, which is asked for once a crawl."""
        if bucket not in self._regions:
            answer = self._role.client("s3").get_bucket_location(Bucket=bucket)
            self._regions[bucket] = answer["LocationConstraint"] or "us-east-1"
        return self._role.client("s3", region_name=self._regions[bucket])

    def _learn(self, listings: list[Listing], known: Seen) -> Seen:
        """What is in each listed object. Objects that were read before are not read again; see `memory`."""
        listed = {name: item for listing in listings for name, item in listing.items()}
        if self._settings["RecrawlPolicy"]["RecrawlBehavior"] == "CRAWL_NEW_FOLDERS_ONLY":
            folders = {name.rpartition("/")[0] for name in known}
            old = {name: known[name] for name in listed if name in known}
            new = [(name, *item) for name, item in listed.items() if name.rpartition("/")[0] not in folders]
        else:
            old = {name: known[name] for name, (etag, _) in listed.items() if name in known and known[name][0] == etag}
            new = [(name, *item) for name, item in listed.items() if name not in old]
        with ThreadPoolExecutor(READERS, thread_name_prefix=self.name) as pool:
            read = zip(new, pool.map(self._read, new))
            return old | {name: (etag, content) for (name, etag, _), content in read if content is not None}

    def _read(self, item: tuple[str, str, int]) -> Content | None:
        """An object's content by its first bytes; None if it was deleted after it was listed."""
        if self.stopping.is_set():
            raise Stopped
        name, _, size = item
        bucket, _, key = name.partition("/")
        s3 = self._s3(bucket)

        def read(start: int, end: int) -> bytes:
            return s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")["Body"].read()

        try:
            return classify(read, size, self._classifiers)
        except s3.exceptions.NoSuchKey:
            return None

    def _note_unknown(self, seen: Seen) -> None:
        unknown = [f"s3://{name}, which {content.reason}" for name, (_, content) in seen.items() if content.format is None]
        for line in unknown[:20]:
            self._say(f"INFO : No table is made of {line}: classification UNKNOWN")
        if unknown:
            self.message = f"{len(unknown)} of {len(seen)} files have classification UNKNOWN, such as {unknown[0]}"

    def _tables(self, path: str, listing: Listing, seen: Seen) -> list[FoundTable]:
        bucket, prefix = split_path(path)
        files = [File(bucket, tuple(name.split("/")[1:]), size, seen[name][1]) for name, (_, size) in listing.items()
                 if name in seen and seen[name][1].format is not None]
        root = tuple(prefix.split("/")) if prefix else ()
        if [file.parts for file in files] == [root]:
            return [FoundTable(tuple(files), root, is_file=True)]
        options = configuration(self._settings.get("Configuration"))
        return find_tables(root, files, "Grouping.TableGroupingPolicy" in options,
                           options.get("Grouping.TableLevelConfiguration", 0))

    def _say(self, line: str) -> None:
        """A line of the crawler's log; `_write_log` sends them all at the end."""
        self._log.append({"timestamp": int(time.time() * 1000), "message": f"[{self.crawl_id}] {line}"})

    def _write_log(self) -> None:
        stream = {"logGroupName": LOG_GROUP, "logStreamName": self._settings["Name"]}
        try:
            logs = self._role.client("logs")
            for create, names in ((logs.create_log_group, {"logGroupName": LOG_GROUP}), (logs.create_log_stream, stream)):
                try:
                    create(**names)
                except logs.exceptions.ResourceAlreadyExistsException:
                    pass
            logs.put_log_events(**stream, logEvents=self._log)
        except (ClientError, BotoCoreError) as error:
            self._context.log(self.arn, f"crawl {self.crawl_id}: no line could be written to {LOG_GROUP}: {error}")


def _folder(path: str) -> str:
    """An include path as the locations of the tables below it begin."""
    bucket, prefix = split_path(path)
    return f"s3://{bucket}/{prefix}/" if prefix else f"s3://{bucket}/"
