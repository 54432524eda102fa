"""Data Firehose: from a Kinesis stream, in batches, through a Lambda function, into S3."""

from .control import Firehose

__all__ = ["Firehose"]
