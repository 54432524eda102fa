"""What every client's tests start from: a shell's environment that leads to the local AWS, and a small lake."""

import functools
import json
import uuid
from dataclasses import dataclass

import boto3
import pyarrow.fs
import pytest

from ..conftest import Aws

ORDERS = [("o-1", "Lamp", 4, 29.9), ("o-2", "Mouse", 2, 19.5), ("o-3", "Keyboard", 1, 89.0), ("o-4", "Mouse", 5, None)]
COLUMNS = {"orderid": "string", "product_name": "string", "quantity": "int", "price": "double"}


@dataclass(frozen=True)
class Lake:
    """A bucket and a database of the same name, with the table `orders` over ORDERS as JSON lines."""

    aws: Aws
    name: str

    def uri(self, path: str = "") -> str:
        return f"s3://{self.name}/{path}"

    def fresh(self, path: str) -> str:
        """A folder that nothing lies in yet."""
        return self.uri(f"{path}/{uuid.uuid4().hex}/")


@pytest.fixture(scope="package", autouse=True)
def environment(aws):
    """The variables of `python -m helpers.localaws env`: no client of these tests is told more than they say."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws.status.environment.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        # Arrow's own S3 client knows no such variable (apache/arrow issue 49643), and PyAthena's ArrowCursor gives it no endpoint.
        patch.setattr(pyarrow.fs, "S3FileSystem", functools.partial(pyarrow.fs.S3FileSystem, endpoint_override=aws.endpoint))
        yield


@pytest.fixture(scope="package")
def lake(aws, environment):
    found = Lake(aws, f"clients{uuid.uuid4().hex[:10]}")
    s3, glue = boto3.client("s3"), boto3.client("glue")
    s3.create_bucket(Bucket=found.name)
    glue.create_database(DatabaseInput={"Name": found.name})
    s3.put_object(Bucket=found.name, Key="orders/a.json", Body="".join(
        json.dumps(dict(zip(COLUMNS, order))) + "\n" for order in ORDERS))
    glue.create_table(DatabaseName=found.name, TableInput={
        "Name": "orders", "TableType": "EXTERNAL_TABLE", "Parameters": {"classification": "json"}, "StorageDescriptor": {
            "Columns": [{"Name": name, "Type": kind} for name, kind in COLUMNS.items()], "Location": found.uri("orders/"),
            "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"}}})
    yield found
    for table in glue.get_tables(DatabaseName=found.name)["TableList"]:
        glue.delete_table(DatabaseName=found.name, Name=table["Name"])
    glue.delete_database(Name=found.name)
    bucket = boto3.resource("s3").Bucket(found.name)
    bucket.objects.all().delete()
    bucket.delete()
