"""Data Firehose: from a Kinesis stream or what is put, in batches, through a Lambda function, into S3."""

from .control import Firehose

__all__ = ["Firehose"]
