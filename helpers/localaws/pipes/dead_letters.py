"""A pipe's dead-letter queue or topic: where it is told of what it discards."""

import datetime
import json

from botocore.exceptions import ClientError

from ..roles import Role


TOO_LONG = "x" * (1024 * 1024 + 1)  # neither a queue nor a topic takes a message of more than 1 MiB


class DeadLetters:
    """Sends one message for each batch, or what was left of it, that is discarded: what it was, not what was in it.

    The body is as captured from AWS [C, AWS_FACTS.md part 2]; `arn` is that of an SQS queue or an SNS topic.
    """

    def __init__(self, role: Role, arn: str, endpoint: str, pipe: dict):
        self._role, self.arn, self._pipe = role, arn, pipe
        self._queue_url = "/".join([endpoint, *arn.split(":")[4:]])  # not looked up: the role need not have sqs:GetQueueUrl
        self.kind, self.action = ("SQS queue", "sqs:SendMessage") if ":sqs:" in arn else ("SNS topic", "sns:Publish")

    def check(self) -> None:
        """Raise what AWS would answer to a letter, without sending one: a message that is too long gets past IAM and no further.

        AWS looks when a pipe is made, too [C, aws-samples/serverless-patterns issue 1857]; how it does is unknown [U].
        """
        try:
            self._send(TOO_LONG)
        except ClientError as error:
            if not error.response["Error"]["Code"].startswith("InvalidParameter"):
                raise

    def tell(self, condition: str, shard: str, size: int, sequences: tuple[str, str], arrivals: tuple[float, float]) -> None:
        """Send it; raises what AWS answers. `sequences` and `arrivals` (epoch seconds) are those of the first and the last record."""
        body = json.dumps({
            "context": {"partnerResourceArn": self._pipe["Arn"], "condition": condition}, "version": "1.0",
            "timestamp": _iso(datetime.datetime.now(datetime.UTC).timestamp(), "milliseconds"),
            "DDBStreamBatchInfo": {
                "shardId": shard, "startSequenceNumber": sequences[0], "endSequenceNumber": sequences[1],
                "approximateArrivalOfFirstRecord": _iso(arrivals[0], "seconds"),
                "approximateArrivalOfLastRecord": _iso(arrivals[1], "seconds"),
                "batchSize": size, "streamArn": self._pipe["Source"]}}, separators=(",", ":"))
        self._send(body)

    def _send(self, body: str) -> None:
        if self.action == "sqs:SendMessage":
            self._role.client("sqs").send_message(QueueUrl=self._queue_url, MessageBody=body)
        else:
            self._role.client("sns").publish(TopicArn=self.arn, Message=body)


def _iso(moment: float, precision: str) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"
