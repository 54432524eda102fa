"""What the tests of crawlers crawl with: a bucket, roles, and crawlers that each write to a database of their own."""

import json
import time

import pytest
from botocore.exceptions import ClientError

BUCKET = "crawler-lake"
ORDER = {"orderId": "o-1", "product_name": "Tea", "quantity": 2, "price": 4.5}
ORDER_COLUMNS = {"orderid": "string", "product_name": "string", "quantity": "int", "price": "double"}
TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


def lines(*rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


class Lake:
    """A bucket, roles, and crawlers that each write to a database of their own, named like the crawler.

    One module's at a time; `close` removes all of it.
    """

    def __init__(self, aws):
        self.iam, self.s3, self.glue, self.logs = (aws.client(name) for name in ("iam", "s3", "glue", "logs"))
        self.account, self.crawlers, self.roles, self.classifiers = aws.account, [], [], []
        self.s3.create_bucket(Bucket=BUCKET)
        self.role("crawler-role", "s3:*", "glue:*", "logs:*")

    def role(self, name, *actions):
        if name not in self.roles:
            self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
            self.roles.append(name)
        self.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}))

    def put(self, objects):
        """Write objects by key: bytes, or a row as one line of JSON; None deletes."""
        for key, body in objects.items():
            if body is None:
                self.s3.delete_object(Bucket=BUCKET, Key=key)
            else:
                self.s3.put_object(Bucket=BUCKET, Key=key, Body=body if isinstance(body, bytes) else lines(body))

    def classifier(self, name, **kind):
        """A classifier by its kind's members; of a JSON path where there are none, named as the path."""
        if name not in self.classifiers:
            (kind, members), = (kind or {"JsonClassifier": {"JsonPath": name}}).items()
            self.glue.create_classifier(**{kind: members | {"Name": name}})
            self.classifiers.append(name)

    def crawler(self, name, *, S3Targets=None, role="crawler-role", configuration=None, **settings):
        """A crawler over s3://crawler-lake/<name>/, or `S3Targets`."""
        if configuration:
            settings["Configuration"] = json.dumps(configuration)
        targets = {"S3Targets": S3Targets or [{"Path": f"s3://{BUCKET}/{name}/"}]}
        self.glue.create_crawler(Name=name, Role=role, DatabaseName=name, Targets=targets, **settings)
        self.crawlers.append(name)

    def state(self, name):
        return self.glue.get_crawler(Name=name)["Crawler"]

    def ready(self, name, seconds=30):
        deadline = time.monotonic() + seconds
        while (crawler := self.state(name))["State"] != "READY":
            assert time.monotonic() < deadline, f"{name} is still {crawler['State']}"
            time.sleep(0.05)
        return crawler

    def crawl(self, *names):
        """Run crawlers side by side; the last crawl of each."""
        for name in names:
            self.glue.start_crawler(Name=name)
        return [self.ready(name)["LastCrawl"] for name in names]

    def tables(self, name):
        return {table["Name"]: table for table in self.glue.get_tables(DatabaseName=name)["TableList"]}

    def table(self, name):
        """The only one."""
        (table,) = self.tables(name).values()
        return table

    def partitions(self, name, table):
        found = self.glue.get_partitions(DatabaseName=name, TableName=table)["Partitions"]
        return {"/".join(p["Values"]): p for p in found}

    def changes(self, name):
        (metrics,) = self.glue.get_crawler_metrics(CrawlerNameList=[name])["CrawlerMetricsList"]
        return metrics["TablesCreated"], metrics["TablesUpdated"], metrics["TablesDeleted"]

    def close(self):
        for name in self.crawlers:
            self.ready(name)
            self.glue.delete_crawler(Name=name)
        names = {database["Name"] for database in self.glue.get_databases()["DatabaseList"]}
        for name in names.intersection(self.crawlers):
            self.glue.delete_database(Name=name)
        for name in self.classifiers:
            self.glue.delete_classifier(Name=name)
        for name in self.roles:
            self.iam.delete_role_policy(RoleName=name, PolicyName="all")
            self.iam.delete_role(RoleName=name)
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            if "Contents" in page:
                self.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": item["Key"]} for item in page["Contents"]]})
        self.s3.delete_bucket(Bucket=BUCKET)


def columns(table) -> dict[str, str]:
    return {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}


def keys(table) -> list[str]:
    return [key["Name"] for key in table["PartitionKeys"]]


def refused(call, code, *words, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    assert error["Code"] == code and all(word in error["Message"] for word in words), error


@pytest.fixture(scope="module")
def lake(aws):
    lake = Lake(aws)
    yield lake
    lake.close()
