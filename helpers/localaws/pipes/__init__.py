"""EventBridge Pipes: from a DynamoDB stream to a Kinesis stream, one Kinesis record per change."""

from .control import Pipes

__all__ = ["Pipes"]
