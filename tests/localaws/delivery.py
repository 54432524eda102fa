"""What the tests of Firehose share: a line from a source to a bucket, its roles, and a function that does what it is told."""

import itertools
import json

import pytest

from .making import (
    FIREHOSE_LAMBDA,
    FIREHOSE_S3,
    FIREHOSE_SOURCE,
    client,
    drop_bucket,
    drop_role,
    function,
    objects,
    role,
    stream,
    wait_for,
)

ALL = FIREHOSE_SOURCE + FIREHOSE_S3 + FIREHOSE_LAMBDA + ["logs:PutLogEvents"]
PLACES = {"Prefix": "data/!{timestamp:yyyy}/", "ErrorOutputPrefix": "failed/!{firehose:error-output-type}/"}
DESTINATION = "destinationId-000000000001"
numbers = itertools.count()

# A record's text says what the function does with it; what concerns the whole batch is said by any record of it. Behind a colon
# may stand a name, under which calls are counted.
TRANSFORM = """
import base64, json, pathlib, tempfile, time

def handler(event, context):
    records = event["records"]
    texts = [base64.b64decode(record["data"]).decode(errors="replace") for record in records]
    orders = dict(text.split(":", 1) if ":" in text else (text, "") for text in texts)

    def answer(text):
        data = base64.b64encode(text.encode()).decode()
        return {"records": [{"recordId": r["recordId"], "result": "Ok", "data": data} for r in records]}

    def count(name):
        path = pathlib.Path(tempfile.gettempdir(), "firehose-calls-" + name)
        return path, len(path.read_text()) if path.exists() else 0

    for order in ("raise", "flaky", "sleep"):
        if order in orders:
            path, calls = count(orders[order])
            if orders[order]:
                path.write_text("." * (calls + 1))
            if order == "sleep":
                time.sleep(30)
            if order == "raise" or order == "flaky" and calls < 2:
                raise ValueError("told to")
    if "calls" in orders:
        path, calls = count(orders["calls"])
        path.unlink()
        return answer(f"{calls} calls")
    if "None" in orders:
        return None
    if "text" in orders:
        return "no object"
    if "big" in orders:
        return answer("x" * 5_000_000)
    if "event" in orders:
        return answer(json.dumps(event))
    if "size" in orders:
        return answer(f"{len(json.dumps(event, separators=(',', ':'), ensure_ascii=False).encode())},")
    entries = []
    for record, text in zip(records, texts):
        data = base64.b64encode((text.upper() + "\\n").encode()).decode()
        entry = {"recordId": record["recordId"], "result": "Ok", "data": data}
        if text in ("Dropped", "ProcessingFailed", "ok"):
            entry["result"] = text
        elif text == "null":
            entry["data"] = None
        elif text == "not base64":
            entry["data"] = "***"
        elif text == "unknown":
            entry["recordId"] = "somebody else's"
        elif text == "twice":
            entries.append(entry)
        if text != "missing":
            entries.append(entry)
    return {"records": entries}
"""


@pytest.fixture(scope="module")
def work_role(aws):
    yield role(aws, "firehose-role", "firehose.amazonaws.com", ALL)
    drop_role(aws, "firehose-role")


@pytest.fixture(scope="module")
def functions(aws):
    """The transform with 20 s, and the same with 1 s, to time out."""
    lambda_role = role(aws, "firehose-function-role", "lambda.amazonaws.com", ["logs:*"])
    yield {seconds: function(aws, f"firehose-transform-{seconds}", TRANSFORM, lambda_role, timeout=seconds) for seconds in (20, 1)}
    for seconds in (20, 1):
        client(aws, "lambda").delete_function(FunctionName=f"firehose-transform-{seconds}")
    drop_role(aws, "firehose-function-role")


class Line:
    """A Kinesis stream, a bucket and, once `deliver` is called, a delivery stream between them; all with one name of their own."""

    def __init__(self, aws, role_arn: str, function_arn: str, shards: int = 1):
        self.aws, self.role_arn, self.function_arn, self.name = aws, role_arn, function_arn, f"firehose-{next(numbers)}"
        self.firehose, self.kinesis = client(aws, "firehose"), client(aws, "kinesis")
        self.source = stream(aws, self.name, shards)
        client(aws, "s3").create_bucket(Bucket=self.name)

    def create(self, *, transform: bool | dict = False, interval: int = 1, size: int = 5, request: dict | None = None,
               direct: bool = False, **destination):
        """Create the delivery stream; with `transform`, through the function, whose parameters it may hold."""
        destination = {**self.place(interval=interval, size=size), **destination}
        if transform is not False:
            destination["ProcessingConfiguration"] = {"Enabled": True, "Processors": [
                self.processor(**(transform if isinstance(transform, dict) else {}))]}
        source = {} if direct else {
            "DeliveryStreamType": "KinesisStreamAsSource",
            "KinesisStreamSourceConfiguration": {"KinesisStreamARN": self.source, "RoleARN": self.role_arn}}
        return self.firehose.create_delivery_stream(**{
            "DeliveryStreamName": self.name, **source, "ExtendedS3DestinationConfiguration": destination, **(request or {})})

    def place(self, *, interval: int = 1, size: int = 5, **settings) -> dict:
        """The bucket, as an S3 destination or as that of a backup."""
        return {"RoleARN": self.role_arn, "BucketARN": f"arn:aws:s3:::{self.name}",
                "BufferingHints": {"SizeInMBs": size, "IntervalInSeconds": interval}, **settings}

    def processor(self, **parameters: str) -> dict:
        parameters = {"LambdaArn": self.function_arn, "BufferIntervalInSeconds": "1", **parameters}
        return {"Type": "Lambda", "Parameters": [{"ParameterName": n, "ParameterValue": v} for n, v in parameters.items()]}

    def deliver(self, **settings) -> "Line":
        self.create(**settings)
        self.wait_status("ACTIVE")
        return self

    def update(self, version: int = 1, **destination) -> None:
        self.firehose.update_destination(
            DeliveryStreamName=self.name, CurrentDeliveryStreamVersionId=str(version), DestinationId=DESTINATION,
            ExtendedS3DestinationUpdate=destination)

    def put_directly(self, *texts: str) -> dict:
        return self.firehose.put_record_batch(DeliveryStreamName=self.name, Records=[{"Data": text.encode()} for text in texts])

    def describe(self) -> dict:
        return self.firehose.describe_delivery_stream(DeliveryStreamName=self.name)["DeliveryStreamDescription"]

    def destination(self) -> dict:
        return self.describe()["Destinations"][0]["ExtendedS3DestinationDescription"]

    def wait_status(self, status: str) -> dict:
        return wait_for(lambda: (found := self.describe())["DeliveryStreamStatus"] == status and found)

    def wait_trouble(self, *words: str) -> dict:
        def troubled():
            found = self.describe()
            details = found.get("FailureDescription", {}).get("Details", "")
            return all(word in details for word in words) and found
        return wait_for(troubled)

    def wait_no_trouble(self) -> None:
        wait_for(lambda: "FailureDescription" not in self.describe())

    def put(self, *texts: str | bytes, key: str | None = None) -> None:
        self.kinesis.put_records(StreamName=self.name, Records=[
            {"Data": text if isinstance(text, bytes) else text.encode(), "PartitionKey": key or text[:100]} for text in texts])

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        return objects(self.aws, self.name, prefix)

    def body(self, prefix: str = "data/") -> bytes:
        """All objects under `prefix`, joined; those of an older version or second first."""
        return b"".join(body for _, body in sorted(self.objects(prefix).items()))

    def wait_object(self, prefix: str = "data/") -> tuple[str, bytes]:
        """Key and body of the first object under `prefix`."""
        return next(iter(wait_for(lambda: self.objects(prefix)).items()))

    def wait_text(self, text: str, prefix: str = "data/") -> None:
        wait_for(lambda: self.body(prefix).decode() == text)

    def wait_errors(self, count: int, prefix: str = "failed/") -> list[dict]:
        def errors():
            return [json.loads(line) for body in self.objects(prefix).values() for line in body.decode().splitlines()]
        return wait_for(lambda: len(found := errors()) >= count and found)

    def listed(self) -> bool:
        return self.name in self.firehose.list_delivery_streams(Limit=1000)["DeliveryStreamNames"]

    def drop(self) -> None:
        try:
            self.firehose.delete_delivery_stream(DeliveryStreamName=self.name)
            wait_for(lambda: not self.listed())
        except self.firehose.exceptions.ResourceNotFoundException:
            pass
        self.kinesis.delete_stream(StreamName=self.name)
        drop_bucket(self.aws, self.name)


@pytest.fixture
def line(aws, work_role, functions):
    lines = []

    def make(**settings) -> Line:
        lines.append(Line(aws, settings.pop("role_arn", work_role), functions[settings.pop("seconds", 20)], **settings))
        return lines[-1]

    yield make
    for made in lines:
        made.drop()


@pytest.fixture
def own_role(aws):
    """The name and ARN of a role that a test may take rights from."""
    name = f"firehose-own-role-{next(numbers)}"
    yield name, role(aws, name, "firehose.amazonaws.com", ALL)
    drop_role(aws, name)
