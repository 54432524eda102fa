"""A local AWS on loopback that moves data: MiniStack, with pipes, Firehose, crawlers and Athena that really work.

It knows AWS's APIs and nothing of any project that uses it. `start()` makes sure one is running and says where it is;
any AWS client can then use it. On the command line: ``python -m helpers.localaws start|stop|status|reset|logs|env``.
"""

from .lifecycle import LocalAws, LocalAwsError, Status, start

__all__ = ["LocalAws", "LocalAwsError", "Status", "start"]
