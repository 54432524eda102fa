"""Athena's API: workgroups, query executions and their results, the catalogue's reading operations.

The engine (DuckDB, sqlglot) is imported with the first query, so that a local AWS that runs none stays small. Messages that are
not in AWS_FACTS.md part 6 are of our wording ([U]); their codes are the model's.
"""

import re
import shutil
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from ..service import AwsError, Caller, Context, Service, now
from .errors import ParseFailure, QueryFailure
from .saved import SavedStatements
from .statements import PREPARED

_FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
_CATALOG = "AwsDataCatalog"
_ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
_REFUSED_SETTINGS = (
    "ManagedQueryResultsConfiguration",
    "ExecutionRole",
    "AdditionalConfiguration",
    "CustomerContentEncryptionConfiguration",
    "IdentityCenterConfiguration",
    "QueryResultsS3AccessGrantsConfiguration",
    "EngineConfiguration",
    "MonitoringConfiguration",
)
_SETTINGS = (
    "EnforceWorkGroupConfiguration",
    "PublishCloudWatchMetricsEnabled",
    "RequesterPaysEnabled",
    "BytesScannedCutoffPerQuery",
    "ResultConfiguration",
    "EngineVersion",
    "EnableMinimumEncryptionConfiguration",
)
_SLOTS = 4  # queries that run at once; more wait QUEUED


def _invalid(message: str, **members) -> AwsError:
    return AwsError("InvalidRequestException", message, AthenaErrorCode="INVALID_INPUT", **members)


def _unsupported(what: str) -> AwsError:
    return _invalid(f"The local AWS does not support {what}")


class Athena(SavedStatements, Service):
    name = "athena"
    validation_error = "InvalidRequestException"

    def __init__(self, context: Context):
        super().__init__(context)
        self._workgroups = context.store("workgroups")
        self._queries = context.store("queries")
        self._prepared, self._named = context.store("prepared"), context.store("named")
        self._tokens: dict[tuple, str] = {}
        self._runs: dict[str, object] = {}
        self._cancelled: set[str] = set()
        self._clients: dict[tuple, object] = {}
        self._lock = threading.RLock()
        self._pool = ThreadPoolExecutor(_SLOTS, "athena")
        self._cache = None

    def start(self) -> None:
        """Queries that ran when the local AWS stopped cannot be resumed; their scratch files go."""
        shutil.rmtree(self.context.directory / "runs", ignore_errors=True)
        for key in self._queries:
            if self._queries[key]["Status"]["State"] not in _FINAL:
                self._finish(key, "FAILED", "GENERIC_INTERNAL_ERROR: the local AWS was stopped while this query ran")

    def stop(self) -> None:
        with self._lock:
            for run in self._runs.values():
                run.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _client(self, service: str, caller: Caller):
        with self._lock:
            key = (service, caller)
            if key not in self._clients:
                self._clients[key] = self.context.client(service, caller)
            return self._clients[key]

    # --- workgroups -------------------------------------------------------------------------------------------------------------
    def _workgroup(self, caller: Caller, name: str) -> dict:
        key = caller.arn("athena", f"workgroup/{name}")
        if key in self._workgroups:
            return self._workgroups[key]
        if name != "primary":
            raise _invalid(f"WorkGroup {name} is not found.")
        # Each account has it in each region, and its settings are not enforced.
        self._workgroups[key] = {
            "Name": name,
            "State": "ENABLED",
            "Description": "",
            "CreationTime": now(),
            "Tags": {},
            "Configuration": {
                "ResultConfiguration": {},
                "EnforceWorkGroupConfiguration": False,
                "PublishCloudWatchMetricsEnabled": False,
                "RequesterPaysEnabled": False,
                "EngineVersion": _ENGINE,
            },
        }
        return self._workgroups[key]

    def create_work_group(self, caller: Caller, params: dict) -> dict:
        name, key = params["Name"], caller.arn("athena", f"workgroup/{params['Name']}")
        if key in self._workgroups or name == "primary":
            raise _invalid(f"WorkGroup {name} is already created.")
        configuration = {
            "EnforceWorkGroupConfiguration": True,
            "PublishCloudWatchMetricsEnabled": True,
            "RequesterPaysEnabled": False,
            "ResultConfiguration": {},
            **_checked(params.get("Configuration", {})),
            "EngineVersion": _ENGINE,
        }
        self._workgroups[key] = {
            "Name": name,
            "State": "ENABLED",
            "Description": params.get("Description", ""),
            "CreationTime": now(),
            "Configuration": configuration,
            "Tags": {tag["Key"]: tag["Value"] for tag in params.get("Tags", [])},
        }
        return {}

    def get_work_group(self, caller: Caller, params: dict) -> dict:
        found = self._workgroup(caller, params["WorkGroup"])
        return {"WorkGroup": {key: value for key, value in found.items() if key != "Tags"}}

    def list_work_groups(self, caller: Caller, params: dict) -> dict:
        self._workgroup(caller, "primary")
        prefix = caller.arn("athena", "workgroup/")
        found = sorted(
            (self._workgroups[key] for key in self._workgroups if key.startswith(prefix)), key=lambda item: item["Name"]
        )
        groups = [
            {**{key: item[key] for key in ("Name", "State", "Description", "CreationTime")}, "EngineVersion": _ENGINE}
            for item in found
        ]
        return self._paged("WorkGroups", groups, params)

    def update_work_group(self, caller: Caller, params: dict) -> dict:
        found = self._workgroup(caller, params["WorkGroup"])
        configuration, updates = found["Configuration"], dict(params.get("ConfigurationUpdates", {}))
        results = updates.pop("ResultConfigurationUpdates", {})
        if updates.pop("RemoveBytesScannedCutoffPerQuery", False):
            configuration.pop("BytesScannedCutoffPerQuery", None)
        for name in ("OutputLocation", "EncryptionConfiguration", "ExpectedBucketOwner", "AclConfiguration"):
            if results.pop(f"Remove{name}", False):
                configuration["ResultConfiguration"].pop(name, None)
        merged = {**configuration, **updates, "ResultConfiguration": {**configuration["ResultConfiguration"], **results}}
        self._workgroups.update_item(caller.arn("athena", f"workgroup/{params['WorkGroup']}"), Configuration={
            **_checked(merged), "EngineVersion": _ENGINE}, Description=params.get("Description", found["Description"]),
            State=params.get("State", found["State"]))
        return {}

    def delete_work_group(self, caller: Caller, params: dict) -> dict:
        name = params["WorkGroup"]
        if name == "primary":
            raise _invalid("The primary WorkGroup cannot be deleted.")
        self._workgroup(caller, name)
        used = [
            key
            for key in self._queries
            if self._queries[key]["WorkGroup"] == name and self._queries[key]["Owner"] == _owner(caller)
        ]
        used = [(self._queries, key) for key in used] + self._saved_in(caller, name)
        if used and not params.get("RecursiveDeleteOption"):
            raise _invalid(f"WorkGroup {name} is not empty.")
        for store, key in used:
            del store[key]
        del self._workgroups[caller.arn("athena", f"workgroup/{name}")]
        return {}

    def _tagged(self, caller: Caller, arn: str) -> str:
        _, _, name = arn.partition(":workgroup/")
        if not name or (arn not in self._workgroups and name != "primary"):
            raise AwsError("ResourceNotFoundException", f"{arn} is not found.", ResourceName=arn)
        self._workgroup(caller, name)
        return arn

    def tag_resource(self, caller: Caller, params: dict) -> dict:
        arn = self._tagged(caller, params["ResourceARN"])
        self._workgroups.update_item(
            arn, Tags={**self._workgroups[arn]["Tags"], **{t["Key"]: t["Value"] for t in params["Tags"]}}
        )
        return {}

    def untag_resource(self, caller: Caller, params: dict) -> dict:
        arn = self._tagged(caller, params["ResourceARN"])
        self._workgroups.update_item(
            arn, Tags={k: v for k, v in self._workgroups[arn]["Tags"].items() if k not in params["TagKeys"]}
        )
        return {}

    def list_tags_for_resource(self, caller: Caller, params: dict) -> dict:
        tags = self._workgroups[self._tagged(caller, params["ResourceARN"])]["Tags"]
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    # --- query executions -------------------------------------------------------------------------------------------------------
    def start_query_execution(self, caller: Caller, params: dict) -> dict:
        sql, token = params["QueryString"], params.get("ClientRequestToken")
        with self._lock:
            key = (caller, token)
            if token and key in self._tokens:
                known = self._queries[self._tokens[key]]
                if known["Query"] != sql:
                    raise _invalid("Idempotent parameters do not match")
                return {"QueryExecutionId": known["QueryExecutionId"]}
        group = self._workgroup(caller, params.get("WorkGroup", "primary"))
        if group["State"] != "ENABLED":
            raise _invalid(f"WorkGroup {group['Name']} is disabled.")
        if params.get("ResultReuseConfiguration", {}).get("ResultReuseByAgeConfiguration", {}).get("Enabled"):
            raise _unsupported("ResultReuseConfiguration")
        context = params.get("QueryExecutionContext", {})
        if context.get("Catalog", _CATALOG).lower() != _CATALOG.lower():
            raise _unsupported(f"the data catalog {context['Catalog']}")
        results = self._result_configuration(params.get("ResultConfiguration", {}), group["Configuration"])
        from . import engine
        failure, statement, text = None, None, sql
        parameters = params.get("ExecutionParameters", [])
        try:
            statement = engine.check(sql)
            if statement.kind == "EXECUTE":
                text, parameters = self._prepared_text(caller, group["Name"], statement.name), parameters or statement.options["using"]
                statement = engine.check(text)
        except ParseFailure as error:
            raise AwsError("InvalidRequestException", str(error), AthenaErrorCode="MALFORMED_QUERY") from None
        except QueryFailure as error:
            failure = error
        identifier = str(uuid.uuid4())
        output = results["OutputLocation"]
        submitted = now()
        execution = {
            "QueryExecutionId": identifier,
            "Query": sql,
            "StatementType": statement.type if statement else "DML",
            "Owner": _owner(caller),
            **({"SubstatementType": statement.kind} if statement else {}),
            "ResultConfiguration": {**results, "OutputLocation": _location(output, identifier, statement)},
            "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
            "QueryExecutionContext": {
                **({"Database": context["Database"]} if "Database" in context else {}),
                "Catalog": context.get("Catalog", _CATALOG),
            }
            if context
            else {},
            "Status": {"State": "QUEUED", "SubmissionDateTime": submitted},
            "Statistics": {},
            "WorkGroup": group["Name"],
            "EngineVersion": _ENGINE,
            "SubstatementDetail": [],
            "Columns": [],
            **({"ExecutionParameters": params["ExecutionParameters"]} if "ExecutionParameters" in params else {}),
        }
        with self._lock:
            self._queries[identifier] = execution
            if token:
                self._tokens[caller, token] = identifier
        if failure is not None:
            self._fail(identifier, failure)
            return {"QueryExecutionId": identifier}
        job = engine.Job(
            identifier,
            text,
            statement,
            context.get("Database", "default").strip("`").lower(),
            output,
            parameters,
            group["Configuration"].get("BytesScannedCutoffPerQuery"),
        )
        self._pool.submit(self._run, caller, group["Name"], job, submitted)
        return {"QueryExecutionId": identifier}

    def _result_configuration(self, asked: dict, group: dict) -> dict:
        """Where the results go, `OutputLocation` a folder with its slash: the workgroup's place if it is enforced, else the request's."""
        settings = group["ResultConfiguration"]
        chosen = (
            {**settings} if group["EnforceWorkGroupConfiguration"] and settings.get("OutputLocation") else {**settings, **asked}
        )
        if not chosen.get("OutputLocation"):
            raise _invalid(
                "No output location provided. An output location is required either through the Workgroup result configuration "
                "setting or as an API input."
            )
        if not re.fullmatch(r"s3://[^/]+(/.*)?", chosen["OutputLocation"]):
            raise _invalid("outputLocation is not a valid S3 path.")
        if chosen.get("EncryptionConfiguration", {}).get("EncryptionOption", "SSE_S3") != "SSE_S3":
            raise _unsupported(f"the encryption {chosen['EncryptionConfiguration']['EncryptionOption']}")
        if "AclConfiguration" in chosen:
            raise _unsupported("AclConfiguration")
        return {**chosen, "OutputLocation": chosen["OutputLocation"].rstrip("/") + "/"}

    def _run(self, caller: Caller, group: str, job, submitted: float) -> None:
        """One query, on a thread of the pool. Whatever happens ends in a final state."""
        started = time.monotonic()
        waiting = max(0, int((now() - submitted) * 1000))
        try:
            from .engine import Run, ScanLimit, duckdb
            from .objects import ObjectCache
            with self._lock:
                if job.id in self._cancelled:
                    return
                if self._cache is None:
                    self._cache = ObjectCache(self.context.directory / "objects")
            run = Run(job, self._client("glue", caller), self._client("s3", caller), self._cache, self.context.directory / "runs")
            with self._lock:
                self._runs[job.id] = run
                self._status(job.id, State="RUNNING")
            statistics = {}
            try:
                if job.statement.kind in PREPARED:
                    self._prepare(caller, group, job.statement)
                outcome = run()
            except ScanLimit as limit:
                self._finish(job.id, "CANCELLED", str(limit), self._statistics(started, waiting, run.scanned))
                return
            except QueryFailure as failure:
                statistics = self._statistics(started, waiting, run.scanned if failure.name.startswith("HIVE") else 0)
                self._fail(job.id, failure, statistics, job.sql)
                return
            except duckdb.InterruptException:
                self._finish(job.id, "CANCELLED", "Query cancelled by user")
                return
            statistics = self._statistics(started, waiting, outcome.scanned)
            if outcome.manifest:
                statistics["DataManifestLocation"] = outcome.manifest
            with self._lock:
                if job.id not in self._cancelled:
                    result = {
                        **self._queries[job.id]["ResultConfiguration"],
                        **({"OutputLocation": outcome.location} if outcome.location else {}),
                    }
                    self._queries.update_item(job.id, Columns=outcome.columns, ResultConfiguration=result)
                    self._finish(job.id, "SUCCEEDED", None, statistics)
        except ParseFailure as failure:
            self._fail(job.id, QueryFailure("INVALID_PARAMETER_USAGE", str(failure)))
        except Exception as error:  # noqa: BLE001 - a query must never hang for a defect of ours
            self.context.log(caller.arn("athena", f"query/{job.id}"), f"failed inside the local AWS: {error!r}")
            self._fail(
                job.id, QueryFailure("GENERIC_INTERNAL_ERROR", f"the local AWS failed on this query: {error!r}", category=1)
            )
        finally:
            with self._lock:
                self._runs.pop(job.id, None)

    @staticmethod
    def _statistics(started: float, waiting: int, scanned: int) -> dict:
        """Times in milliseconds, sizes in bytes."""
        spent = int((time.monotonic() - started) * 1000)
        return {
            "EngineExecutionTimeInMillis": spent,
            "DataScannedInBytes": scanned,
            "TotalExecutionTimeInMillis": spent + waiting,
            "QueryQueueTimeInMillis": waiting,
            "QueryPlanningTimeInMillis": 0,
            "ServiceProcessingTimeInMillis": 0,
            "ResultReuseInformation": {"ReusedPreviousResult": False},
        }

    def _status(self, identifier: str, **members) -> None:
        with self._lock:
            if identifier in self._queries and self._queries[identifier]["Status"]["State"] not in _FINAL:
                self._queries.update_item(identifier, Status={**self._queries[identifier]["Status"], **members})

    def _finish(self, identifier: str, state: str, reason: str | None, statistics: dict | None = None, **members) -> None:
        with self._lock:
            if statistics and identifier in self._queries:
                self._queries.update_item(identifier, Statistics=statistics)
            self._status(
                identifier, State=state, CompletionDateTime=now(), **({"StateChangeReason": reason} if reason else {}), **members
            )

    def _fail(self, identifier: str, failure: QueryFailure, statistics: dict | None = None, sql: str | None = None) -> None:
        """`sql`: the text in which the failure's place is, if it is not the query's own: EXECUTE's is the prepared one."""
        sql = sql or self._queries[identifier]["Query"]
        self._finish(identifier, "FAILED", failure.reason(sql), statistics or self._statistics(time.monotonic(), 0, 0),
                     AthenaError=failure.error(sql))

    def _query(self, caller: Caller, identifier: str) -> dict:
        found = self._queries.get(identifier)
        if found is None or found["Owner"] != _owner(caller):
            raise _invalid(f"QueryExecution {identifier} was not found")
        return found

    def get_query_execution(self, caller: Caller, params: dict) -> dict:
        return {"QueryExecution": _public(self._query(caller, params["QueryExecutionId"]))}

    def batch_get_query_execution(self, caller: Caller, params: dict) -> dict:
        found, missing = [], []
        for identifier in params["QueryExecutionIds"]:
            try:
                found.append(_public(self._query(caller, identifier)))
            except AwsError as error:
                missing.append({"QueryExecutionId": identifier, "ErrorCode": "INVALID_INPUT", "ErrorMessage": error.message})
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    def list_query_executions(self, caller: Caller, params: dict) -> dict:
        name = self._workgroup(caller, params.get("WorkGroup", "primary"))["Name"]
        found = [
            item
            for item in (self._queries[key] for key in self._queries)
            if item["WorkGroup"] == name and item["Owner"] == _owner(caller)
        ]
        found.sort(key=lambda item: item["Status"]["SubmissionDateTime"], reverse=True)
        return self._paged("QueryExecutionIds", [item["QueryExecutionId"] for item in found], params)

    def stop_query_execution(self, caller: Caller, params: dict) -> dict:
        identifier = params["QueryExecutionId"]
        self._query(caller, identifier)
        with self._lock:
            if self._queries[identifier]["Status"]["State"] not in _FINAL:
                self._cancelled.add(identifier)
                if identifier in self._runs:
                    self._runs[identifier].cancel()
                self._finish(identifier, "CANCELLED", "Query cancelled by user")
        return {}

    def get_query_runtime_statistics(self, caller: Caller, params: dict) -> dict:
        found = self._query(caller, params["QueryExecutionId"])
        times = {key: value for key, value in found["Statistics"].items() if key in (
            "QueryQueueTimeInMillis", "QueryPlanningTimeInMillis", "EngineExecutionTimeInMillis", "ServiceProcessingTimeInMillis",
            "TotalExecutionTimeInMillis")}
        return {
            "QueryRuntimeStatistics": {
                "Timeline": times,
                "Rows": {"InputBytes": found["Statistics"].get("DataScannedInBytes", 0)},
            }
        }

    def get_query_results(self, caller: Caller, params: dict) -> dict:
        found = self._query(caller, params["QueryExecutionId"])
        state = found["Status"]["State"]
        if state != "SUCCEEDED":
            raise _invalid(f"Query has not yet finished. Current state: {state}" if state not in _FINAL else
                           f"Query did not finish successfully. Final query state: {state}")
        rows, token = [], None
        location = found["ResultConfiguration"]["OutputLocation"]
        if location.endswith((".csv", ".txt")):
            from .results import page
            bucket, _, key = location.removeprefix("s3://").partition("/")
            try:
                rows, token = page(self._client("s3", caller), bucket, key, len(found["Columns"]), params.get("MaxResults", 1000),
                                   params.get("NextToken"))
            except ValueError:
                raise _invalid("NextToken is invalid") from None
            except ClientError as error:
                raise _invalid(
                    f"Could not find results. Please retry or run the query again. {error.response['Error']['Message']}"
                ) from None
        answer = {"UpdateCount": 0, "ResultSet": {
            "Rows": [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in rows],
            "ResultSetMetadata": {"ColumnInfo": found["Columns"]}}}
        return {**answer, "NextToken": token} if token else answer

    # --- the catalogue, read through Glue ---------------------------------------------------------------------------------------
    def list_data_catalogs(self, caller: Caller, params: dict) -> dict:
        return {"DataCatalogsSummary": [{"CatalogName": _CATALOG, "Type": "GLUE"}]}

    def get_data_catalog(self, caller: Caller, params: dict) -> dict:
        _own_catalog(params["Name"])
        return {"DataCatalog": {"Name": _CATALOG, "Type": "GLUE", "Parameters": {"catalog-id": caller.account}}}

    def list_databases(self, caller: Caller, params: dict) -> dict:
        _own_catalog(params["CatalogName"])
        return self._paged("DatabaseList", [_database(item) for item in self._catalog(caller).databases()], params)

    def get_database(self, caller: Caller, params: dict) -> dict:
        _own_catalog(params["CatalogName"])
        return {"Database": _database(_found(self._catalog(caller).database(params["DatabaseName"])))}

    def list_table_metadata(self, caller: Caller, params: dict) -> dict:
        _own_catalog(params["CatalogName"])
        catalog = self._catalog(caller)
        _found(catalog.database(params["DatabaseName"]))
        pattern = params.get("Expression", "").replace("*", ".*") or ".*"
        found = [_table(item) for item in catalog.tables(params["DatabaseName"]) if re.fullmatch(pattern, item["Name"])]
        return self._paged("TableMetadataList", found, params)

    def get_table_metadata(self, caller: Caller, params: dict) -> dict:
        _own_catalog(params["CatalogName"])
        table = self._catalog(caller).table(params["DatabaseName"], params["TableName"])
        return {"TableMetadata": _table(_found(table))}

    def _catalog(self, caller: Caller):
        from .catalog import Catalog
        return Catalog(self._client("glue", caller))

    @staticmethod
    def _paged(member: str, items: list, params: dict) -> dict:
        """One page; the token is the next item's place."""
        try:
            begin = int(params.get("NextToken", 0))
        except ValueError:
            raise _invalid("NextToken is invalid") from None
        end = begin + params.get("MaxResults", 50)
        return {member: items[begin:end], **({"NextToken": str(end)} if end < len(items) else {})}


def _owner(caller: Caller) -> str:
    return f"{caller.account}:{caller.region}"


def _location(output: str, identifier: str, statement) -> str:
    """What GetQueryExecution shows before the run says otherwise."""
    kind = statement.kind if statement else "SELECT"
    if kind == "SELECT":
        return f"{output}{identifier}.csv"
    if kind == "CREATE_TABLE_AS_SELECT":
        return f"{output}tables/{identifier}"
    return f"{output}{identifier}" if kind in ("UNLOAD", "INSERT") else f"{output}{identifier}.txt"


def _public(execution: dict) -> dict:
    return {key: value for key, value in execution.items() if key not in ("Columns", "Owner", "SubstatementDetail")}


def _checked(configuration: dict) -> dict:
    """A workgroup's settings, without what the local AWS would have to ignore."""
    for name in _REFUSED_SETTINGS:
        value = configuration.get(name)
        if value and value not in ({"Enabled": False}, {"EnableIdentityCenter": False}):
            raise _unsupported(f"the workgroup setting {name}")
    if configuration.get("EngineVersion", {}).get("SelectedEngineVersion", "AUTO") not in ("AUTO", "Athena engine version 3"):
        raise _unsupported(configuration["EngineVersion"]["SelectedEngineVersion"])
    for name in ("RequesterPaysEnabled", "EnableMinimumEncryptionConfiguration"):
        if configuration.get(name):
            raise _unsupported(f"the workgroup setting {name}")
    return {name: value for name, value in configuration.items() if name in _SETTINGS}


def _own_catalog(name: str) -> None:
    if name.lower() != _CATALOG.lower():
        raise _invalid(f"Catalog {name} is not found")


def _found(item: dict | None) -> dict:
    """What the catalogue has; otherwise the sentence with Glue's error inside, from which clients read that there is no such thing.

    [C] captured from AWS: github DyfanJones/noctua issue 205; PyAthena 4.2.1 reads the error code out of it.
    """
    if item is None:
        raise AwsError("MetadataException", "Entity Not Found (Service: AmazonDataCatalog; Status Code: 400; Error Code: "
                       f"EntityNotFoundException; Request ID: {uuid.uuid4()}; Proxy: null)")
    return item


def _database(item: dict) -> dict:
    return {"Name": item["Name"], **({"Description": item["Description"]} if item.get("Description") else {}),
            "Parameters": item.get("Parameters") or {}}


def _table(item: dict) -> dict:
    storage = item["StorageDescriptor"]

    def columns(found: list[dict]) -> list[dict]:
        return [{key: column[key] for key in ("Name", "Type", "Comment") if column.get(key)} for column in found]

    return {
        "Name": item["Name"],
        **({"CreateTime": item["CreateTime"].timestamp()} if item.get("CreateTime") else {}),
        **({"TableType": item["TableType"]} if item.get("TableType") else {}),
        "Columns": columns(storage.get("Columns", [])),
        "PartitionKeys": columns(item.get("PartitionKeys") or []),
        "Parameters": {
            **(item.get("Parameters") or {}),
            "location": storage.get("Location", ""),
            "inputformat": storage.get("InputFormat", ""),
            "outputformat": storage.get("OutputFormat", ""),
            "serde.serialization.lib": storage.get("SerdeInfo", {}).get("SerializationLibrary", ""),
        },
    }
