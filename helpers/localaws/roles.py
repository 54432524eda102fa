"""Roles: how a joint becomes an ordinary AWS client with nobody's rights but its role's."""

import datetime
import threading
from collections.abc import Callable

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials

# The two headers with which the gateway lets a joint assume a role as an AWS service does; see iam.ServiceTrust.
SERVICE_HEADER = "x-localaws-service"
SOURCE_HEADER = "x-localaws-source-arn"

SESSION_SECONDS = 3600  # how long a session lasts; botocore renews it a quarter of an hour before
# What a call with a session that is no longer good ends with: its rights were taken away, it is over, or it is unknown. The last,
# a HTTP status, is what botocore makes of any of them to a HEAD, whose answer has no body.
_LOST = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "ExpiredToken",
                   "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId",
                   "403"})
# Firehose gives the account's id as sts:ExternalId: trust policies of its older console ask for it [L, AWS_FACTS.md part 4].
_WITH_EXTERNAL_ID = frozenset({"firehose.amazonaws.com"})

# A joint has its own, longer patience: botocore's retries only bridge a moment.
CLIENT_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 2}, max_pool_connections=32,
                       connect_timeout=5, read_timeout=330, tcp_keepalive=True, proxies={})  # never through a company's proxy

_LOADER = botocore.session.get_session().get_component("data_loader")


def new_session() -> botocore.session.Session:
    """A session of its own, since clients must not be made in one session by two threads, but with API models read only once."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _LOADER)
    return session


class Role:
    """The sessions of one role, assumed for `service` on behalf of `source_arn`.

    Nothing is asked before the first call. A trust policy that does not name the service, or whose conditions
    (aws:SourceAccount, aws:SourceArn) do not hold, ends that call with a ClientError "AccessDenied" for sts:AssumeRole.
    Sessions last an hour and are renewed by botocore before they expire. After a call that was refused, the next one assumes
    the role anew: the trust policy may have changed, the sessions been revoked, or the role made again under its name.
    """

    def __init__(self, role_arn: str, *, service: str, source_arn: str, sts: Callable[[], object], endpoint: str):
        self.arn, self.service, self.source_arn = role_arn, service, source_arn
        self._sts, self._endpoint = sts, endpoint
        self._session: boto3.Session | None = None
        self._clients: dict[str, object] = {}
        self._lock = threading.Lock()

    def client(self, service: str, **config):
        """A boto3 client with the role's rights (one per service, safe between threads), in the region of `source_arn`."""
        with self._lock:
            if self._session is None:
                self._session = self._assume()
            key = f"{service} {sorted(config.items())}"
            if key not in self._clients:
                client = self._clients[key] = self._session.client(
                    service, endpoint_url=self._endpoint, config=CLIENT_CONFIG.merge(Config(**config)))
                client.meta.events.register("after-call", self._forget_if_lost)
            return self._clients[key]

    def _forget_if_lost(self, parsed: dict, **_) -> None:
        """Drop the session after a refusal, so that the next call assumes the role anew."""
        if parsed.get("Error", {}).get("Code") in _LOST:
            with self._lock:
                self._session, self._clients = None, {}

    def _assume(self) -> boto3.Session:
        session = new_session()
        session.set_config_variable("region", self.source_arn.split(":")[3])
        session._credentials = RefreshableCredentials.create_from_metadata(  # botocore offers no public setter
            self._credentials(), refresh_using=self._credentials, method="sts-assume-role")
        return boto3.Session(botocore_session=session)

    def _credentials(self) -> dict:
        external = {"ExternalId": self.source_arn.split(":")[4]} if self.service in _WITH_EXTERNAL_ID else {}
        answer = self._sts_as_service().assume_role(RoleArn=self.arn, RoleSessionName=self.service.split(".")[0],
                                                    DurationSeconds=SESSION_SECONDS, **external)
        keys = answer["Credentials"]
        expiry = keys["Expiration"].astimezone(datetime.timezone.utc).isoformat()
        return {"access_key": keys["AccessKeyId"], "secret_key": keys["SecretAccessKey"],
                "token": keys["SessionToken"], "expiry_time": expiry}

    def _sts_as_service(self):
        client = self._sts()

        def add_headers(request, **_):
            request.headers[SERVICE_HEADER] = self.service
            request.headers[SOURCE_HEADER] = self.source_arn

        client.meta.events.register("before-sign.sts.AssumeRole", add_headers)
        return client
