"""Control plane of Glue's crawlers and classifiers; the catalogue itself stays with MiniStack.

Tags of crawlers are kept where TagResource and GetTags keep them, in MiniStack. Refused by name, because it would change a
crawl and is not implemented: every target but S3, schedules, event mode, lineage, Lake Formation, security configurations,
unknown Configuration options, filters by DPU_HOUR, XML classifiers and custom data types of CSV classifiers.
"""
from __future__ import annotations

import operator
import statistics
import threading
import uuid
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from ..service import AwsError, Caller, Context, Service, now
from . import classify
from .memory import Memory
from .options import crawler_settings, invalid, role_arn, unsupported
from .worker import LOG_GROUP, STOPPING_SECONDS, Crawl

_KEPT_CRAWLS = 100  # of a crawler's history (AWS keeps a year)
_KINDS = ("GrokClassifier", "XMLClassifier", "JsonClassifier", "CsvClassifier")
_FILTERED = {"CRAWL_ID": "CrawlId", "STATE": "State", "START_TIME": "StartTime", "END_TIME": "EndTime"}


class Crawlers(Service):
    """Crawlers and classifiers.

    The store "crawlers" holds, by ARN: Crawler (as GetCrawler shows it, but for CrawlElapsedTime), Crawls (as ListCrawls
    shows them, oldest first) and Changes (tables created, updated, deleted in all). "classifiers" holds classifiers by ARN, as
    GetClassifier shows them: {kind: members}.
    """

    name = "glue"

    def __init__(self, context: Context):
        super().__init__(context)
        self._crawlers, self._classifiers = context.store("crawlers"), context.store("classifiers")
        self._catalogues: dict[Caller, Any] = {}
        self._running: dict[str, Crawl] = {}
        self._closing = threading.Event()

    def start(self) -> None:
        for arn, item in self._crawlers.items():
            state = item["Crawler"]["State"]
            if state == "RUNNING":  # a crawl does the same again when it is repeated
                self._launch(arn, item)
            elif state == "STOPPING":
                self._set(arn, State="READY")

    def stop(self) -> None:
        self._closing.set()
        for crawl in list(self._running.values()):
            crawl.stopping.set()
        for crawl in list(self._running.values()):
            crawl.join(5)

    # crawlers

    def create_crawler(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        arn, name = _crawler_arn(caller, params["Name"]), params["Name"]
        settings = crawler_settings(caller, {}, params)
        self._check_classifiers(caller, settings)
        self._check_role(arn, settings["Role"])
        with self._crawlers.lock:
            if arn in self._crawlers:
                raise AwsError("AlreadyExistsException", f"Crawler with name {name} already exists")
            moment = now()
            self._crawlers[arn] = {"Crawls": [], "Changes": [0, 0, 0], "Crawler": {
                "Name": name, **settings, "State": "READY", "CreationTime": moment, "LastUpdated": moment, "Version": 1}}
        if params.get("Tags"):
            self._catalogue(caller).tag_resource(ResourceArn=arn, TagsToAdd=params["Tags"])
        return {}

    def update_crawler(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        arn, item = self._find(caller, params["Name"])
        if "Role" in params:
            self._check_role(arn, crawler_settings(caller, item["Crawler"], params)["Role"])
        with self._crawlers.lock:
            arn, item = self._find(caller, params["Name"])
            _refuse_while_running(item)
            settings = crawler_settings(caller, item["Crawler"], params)
            self._check_classifiers(caller, settings)
            self._set(arn, **settings | {"LastUpdated": now(), "Version": item["Crawler"]["Version"] + 1})
        return {}

    def delete_crawler(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        with self._crawlers.lock:
            arn, item = self._find(caller, params["Name"])
            _refuse_while_running(item)
            del self._crawlers[arn]
            Memory(self.context.directory, arn).forget()
        glue = self._catalogue(caller)
        if tags := glue.get_tags(ResourceArn=arn)["Tags"]:
            glue.untag_resource(ResourceArn=arn, TagsToRemove=list(tags))
        return {}

    def get_crawler(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        return {"Crawler": _shown(self._find(caller, params["Name"])[1])}

    def get_crawlers(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        return _page(params, "Crawlers", [_shown(item) for item in self._all(caller).values()])

    def list_crawlers(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        names = list(self._all(caller))
        if wanted := params.get("Tags"):
            glue = self._catalogue(caller)
            names = [name for name in names
                     if wanted.items() <= glue.get_tags(ResourceArn=_crawler_arn(caller, name))["Tags"].items()]
        return _page(params, "CrawlerNames", names, limit=100)

    def batch_get_crawlers(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        items, names = self._all(caller), params["CrawlerNames"]
        return {"Crawlers": [_shown(items[name]) for name in names if name in items],
                "CrawlersNotFound": [name for name in names if name not in items]}

    def get_crawler_metrics(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        items = self._all(caller)
        return _page(params, "CrawlerMetricsList", [
            _metrics(items[name]) for name in params.get("CrawlerNameList") or items if name in items])

    # crawls

    def start_crawler(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        with self._crawlers.lock:
            arn, item = self._find(caller, params["Name"])
            _refuse_while_running(item)
            crawl = {"CrawlId": str(uuid.uuid4()), "State": "RUNNING", "StartTime": now(), "LogGroup": LOG_GROUP,
                     "LogStream": params["Name"]}
            crawl["MessagePrefix"] = crawl["CrawlId"]
            self._crawlers.update_item(arn, Crawls=[*item["Crawls"], crawl][-_KEPT_CRAWLS:])
            self._set(arn, State="RUNNING")
            self._launch(arn, self._crawlers[arn])
        return {}

    def stop_crawler(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        with self._crawlers.lock:
            arn, item = self._find(caller, params["Name"])
            state = item["Crawler"]["State"]
            if state == "READY":
                raise AwsError("CrawlerNotRunningException", f"Crawler with name {params['Name']} isn't running")
            if state == "STOPPING":
                raise AwsError("CrawlerStoppingException", f"Crawler with name {params['Name']} is stopping")
            crawl = self._running[arn]
            crawl.stopping.set()
            self._record(arn, "CANCELLED", "STOPPED")
        threading.Thread(target=self._settle, args=(arn, crawl), daemon=True).start()
        return {}

    def list_crawls(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        """Latest first; 20 a page, or MaxResults up to 100. [C] BC:glue"""
        crawls = self._find(caller, params["CrawlerName"])[1]["Crawls"][::-1]
        for condition in params.get("Filters", []):
            crawls = list(filter(_crawl_filter(condition), crawls))
        return _page({"MaxResults": 20} | params, "Crawls", crawls, limit=100)

    def _launch(self, arn: str, item: dict[str, Any]) -> None:
        """Start the work of the crawler's latest crawl."""
        settings = item["Crawler"]
        _, _, _, region, account, _ = arn.split(":", 5)
        definitions = (self._classifiers.get(_classifier_arn(Caller(account, region), name)) for name in settings["Classifiers"])
        classifiers = [classify.custom(definition) for definition in definitions if definition]  # one deleted meanwhile is left out
        crawl = Crawl(self.context, arn, settings, classifiers, item["Crawls"][-1]["CrawlId"], self._finished)
        self._running[arn] = crawl
        crawl.start()

    def _finished(self, crawl: Crawl) -> None:
        """A crawl came to its end by itself: write down how, then settle."""
        with self._crawlers.lock:
            if crawl.stopping.is_set():
                return
            changes = [a + b for a, b in zip(self._crawlers[crawl.arn]["Changes"], crawl.changes)]
            self._crawlers.update_item(crawl.arn, Changes=changes)
            self._record(crawl.arn, *(("FAILED", "FAILED") if crawl.failed else ("SUCCEEDED", "COMPLETED")), crawl.message)
        self._settle(crawl.arn, crawl)

    def _record(self, arn: str, status: str, state: str, message: str = "") -> None:
        """The outcome of the latest crawl; the crawler is STOPPING from now on."""
        *earlier, latest = self._crawlers[arn]["Crawls"]
        latest |= {"State": state, "EndTime": now()} | ({"ErrorMessage": message[:2048]} if message else {})
        shown = ("ErrorMessage", "LogGroup", "LogStream", "MessagePrefix", "StartTime")
        last = {key: latest[key] for key in shown if key in latest}
        self._crawlers.update_item(arn, Crawls=[*earlier, latest])
        self._set(arn, State="STOPPING", LastCrawl={"Status": status, **last})

    def _settle(self, arn: str, crawl: Crawl) -> None:
        """STOPPING takes its time, then the crawler is READY again."""
        self.context.clock.wait(self._closing, STOPPING_SECONDS)
        if crawl is not threading.current_thread():
            crawl.join()
        with self._crawlers.lock:
            self._running.pop(arn, None)
            self._set(arn, State="READY")

    # classifiers

    def create_classifier(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        kind, given = _classifier(params)
        arn = _classifier_arn(caller, given["Name"])
        _check_classifier(kind, given)
        with self._classifiers.lock:
            if arn in self._classifiers:
                raise AwsError("AlreadyExistsException", f"Classifier with name {given['Name']} already exists")
            moment = now()
            self._classifiers[arn] = {kind: {**given, "CreationTime": moment, "LastUpdated": moment, "Version": 1}}
        return {}

    def update_classifier(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        kind, given = _classifier(params)
        with self._classifiers.lock:
            arn, item = self._find_classifier(caller, given["Name"])
            if kind not in item:
                raise invalid(f"Classifier with name {given['Name']} is no {kind}")
            changed = item[kind] | given | {"LastUpdated": now(), "Version": item[kind]["Version"] + 1}
            _check_classifier(kind, changed)
            self._classifiers[arn] = {kind: changed}
        return {}

    def delete_classifier(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        with self._classifiers.lock:
            del self._classifiers[self._find_classifier(caller, params["Name"])[0]]
        return {}

    def get_classifier(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        return {"Classifier": self._find_classifier(caller, params["Name"])[1]}

    def get_classifiers(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        mine = _classifier_arn(caller, "")
        return _page(params, "Classifiers", [item for arn, item in self._classifiers.items() if arn.startswith(mine)])

    # finding and checking

    def _find(self, caller: Caller, name: str) -> tuple[str, dict[str, Any]]:
        arn = _crawler_arn(caller, name)
        if arn not in self._crawlers:
            raise AwsError("EntityNotFoundException", f"Crawler entry with name: {name} does not exist")
        return arn, self._crawlers[arn]

    def _find_classifier(self, caller: Caller, name: str) -> tuple[str, dict[str, Any]]:
        arn = _classifier_arn(caller, name)
        if arn not in self._classifiers:
            raise AwsError("EntityNotFoundException", f"Classifier with name {name} does not exist")
        return arn, self._classifiers[arn]

    def _all(self, caller: Caller) -> dict[str, dict[str, Any]]:
        """The caller's crawlers by name."""
        mine = _crawler_arn(caller, "")
        return {arn[len(mine):]: item for arn, item in sorted(self._crawlers.items()) if arn.startswith(mine)}

    def _set(self, arn: str, **members: Any) -> None:
        with self._crawlers.lock:
            self._crawlers.update_item(arn, Crawler=self._crawlers[arn]["Crawler"] | members)

    def _catalogue(self, caller: Caller):
        """MiniStack's Glue, which keeps the tags of crawlers."""
        if caller not in self._catalogues:
            self._catalogues[caller] = self.context.client("glue", caller)
        return self._catalogues[caller]

    def _check_classifiers(self, caller: Caller, settings: dict[str, Any]) -> None:
        for name in settings["Classifiers"]:
            if _classifier_arn(caller, name) not in self._classifiers:
                raise invalid(f"Classifier with name {name} does not exist")

    def _check_role(self, arn: str, role: str) -> None:
        """Glue assumes the role when the crawler is created. [L] terraform-provider-aws retries on this message."""
        try:
            self.context.role(role_arn(arn.split(":")[4], role), service="glue.amazonaws.com", source_arn=arn).client("s3")
        except ClientError as error:
            raise invalid(f"Service is unable to assume role {role}. Please verify role's TrustPolicy ({error})") from None


def _crawler_arn(caller: Caller, name: str) -> str:
    return caller.arn("glue", f"crawler/{name}")


def _classifier_arn(caller: Caller, name: str) -> str:
    return caller.arn("glue", f"classifier/{name}")


def _classifier(params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind and the members of the one classifier that a request describes."""
    given = [kind for kind in _KINDS if kind in params]
    if len(given) != 1:
        raise invalid(f"Exactly one of {', '.join(_KINDS)} is required")
    return given[0], params[given[0]]


def _check_classifier(kind: str, members: dict[str, Any]) -> None:
    """Refuse what cannot be done when the classifier is made, not when it is first used."""
    if kind == "XMLClassifier":
        raise unsupported(kind)
    if kind == "JsonClassifier" and not members.get("JsonPath"):
        raise invalid("JsonClassifier needs a JsonPath")
    if members.get("CustomDatatypes") or members.get("CustomDatatypeConfigured"):  # what they are matched with is [U]
        raise unsupported("CsvClassifier.CustomDatatypes")
    if members.get("QuoteSymbol", '"') == members.get("Delimiter", ","):
        raise invalid("CsvClassifier.QuoteSymbol must be different from the Delimiter")  # [C] BC:glue
    try:
        classify.custom({kind: members})
    except ValueError as error:
        raise invalid(f"{kind}: {error}") from None


def _crawl_filter(condition: dict[str, Any]) -> Callable[[dict[str, Any]], bool]:
    """A condition of ListCrawls; times are epoch milliseconds. [C] BC:glue. A crawl that has not ended has no END_TIME."""
    field, value = condition.get("FieldName"), condition.get("FieldValue", "")
    if field not in _FILTERED:
        raise unsupported(f"ListCrawls.Filters FieldName {field}")
    compare = getattr(operator, condition.get("FilterOperator", "EQ").lower())
    if not field.endswith("_TIME"):
        return lambda crawl: compare(crawl[_FILTERED[field]], value)
    if not value.isdecimal():
        raise invalid(f"The FieldValue of {field} is epoch milliseconds, not {value!r}")
    return lambda crawl: _FILTERED[field] in crawl and compare(round(crawl[_FILTERED[field]] * 1000), int(value))


def _refuse_while_running(item: dict[str, Any]) -> None:
    if item["Crawler"]["State"] != "READY":
        raise AwsError("CrawlerRunningException", f"Crawler with name {item['Crawler']['Name']} has already started")


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    running = item["Crawler"]["State"] == "RUNNING"
    elapsed = round((now() - item["Crawls"][-1]["StartTime"]) * 1000) if running else 0
    return item["Crawler"] | {"CrawlElapsedTime": elapsed}


def _metrics(item: dict[str, Any]) -> dict[str, Any]:
    """Run times in real (not scaled) seconds."""
    runtimes = [crawl["EndTime"] - crawl["StartTime"] for crawl in item["Crawls"] if "EndTime" in crawl]
    created, updated, deleted = item["Changes"]
    return {"CrawlerName": item["Crawler"]["Name"], "TimeLeftSeconds": 0.0,
            "StillEstimating": item["Crawler"]["State"] == "RUNNING", "LastRuntimeSeconds": runtimes[-1] if runtimes else 0.0,
            "MedianRuntimeSeconds": statistics.median(runtimes) if runtimes else 0.0,
            "TablesCreated": created, "TablesUpdated": updated, "TablesDeleted": deleted}


def _page(params: dict[str, Any], member: str, items: list[Any], limit: int = 1000) -> dict[str, Any]:
    try:
        start = int(params.get("NextToken", 0))
    except ValueError:
        raise invalid("NextToken is not one that was handed out") from None
    end = start + min(params.get("MaxResults", limit), limit)
    return {member: items[start:end]} | ({"NextToken": str(end)} if end < len(items) else {})
