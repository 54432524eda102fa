"""The bucket that a delivery stream writes into: found before it is written to, each object there once, none left half written.

The role needs s3:AbortMultipartUpload, GetBucketLocation, GetObject, ListBucket, ListBucketMultipartUploads and PutObject
[C, FH controlling-access]. What AWS does with the first five it does not say [U]. Here they serve what a writer that lives long
has to do, at moments that cost next to nothing: with a worker's first write, and after a write whose answer was lost.
"""

import datetime
import io
import re

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from ..polling import DENIED, error_code
from ..roles import Role

PART = 16 * 1024 * 1024  # larger objects go in parts of this size [U]; a failed upload is aborted by boto3
_IN_PARTS = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=False)
# IAM's names of actions are those of S3's operations, but for these [C, service authorization reference].
_ACTIONS = {"HeadBucket": "ListBucket", "HeadObject": "GetObject", "ListMultipartUploads": "ListBucketMultipartUploads",
            "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject"}


def action_of(error: Exception) -> str:
    """The permission that the call needs which ended with `error`; s3:PutObject if it ended before it was one."""
    operation = getattr(error, "operation_name", "PutObject")
    return f"s3:{_ACTIONS.get(operation, operation)}"


class Bucket:
    """One worker's view of a bucket. Every method raises what S3 answers.

    name: the bucket's; writer: the delivery stream's name, with which the names of its objects begin; prefixes: where they lie
    """

    def __init__(self, role: Role, name: str, writer: str, prefixes: list[str]):
        self._role, self._name = role, name
        fixed = "|".join(re.escape(prefix.partition("!{")[0]) for prefix in prefixes)
        unique = "-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
        self._own = re.compile(rf"(?:{fixed})(?:.*/)?{re.escape(writer)}(?:-\d+){{7}}{unique}[^/]*")  # -version-date-and-time-uuid
        self._began = datetime.datetime.now(datetime.UTC)
        self._region: str | None = None  # where the bucket is, once it is found
        self._reads_back = False         # whether the role was seen to be able to look at what it wrote
        self._unsure: str | None = None  # the key of a write whose answer was lost: S3 may have it all the same

    def write(self, key: str, body: bytes, **headers: str) -> None:
        """Put an object. Called again after a failure, it puts none that is there already."""
        if self._region is None:
            self._region = self._find()
        if self._unsure != key or not self._is_there(key):
            self._unsure = key
            try:
                self._put(key, body, headers)
            except ClientError as error:
                if error_code(error) in DENIED:
                    self._unsure = None
                raise
        if not self._reads_back:  # or a role that may not would be found out when an answer is lost, and no earlier
            self._reads_back = self._is_there(key)
        self._unsure = None

    def _find(self) -> str:
        """The bucket's region. What earlier workers, if they were killed, have left half written in the bucket is aborted."""
        s3 = self._role.client("s3")
        region = s3.get_bucket_location(Bucket=self._name)["LocationConstraint"] or "us-east-1"
        s3.head_bucket(Bucket=self._name)
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=self._name):
            for upload in page.get("Uploads", []):
                if upload["Initiated"] < self._began and self._own.fullmatch(upload["Key"]):
                    s3.abort_multipart_upload(Bucket=self._name, Key=upload["Key"], UploadId=upload["UploadId"])
        return region

    def _is_there(self, key: str) -> bool:
        try:
            self._client().head_object(Bucket=self._name, Key=key)
        except ClientError as error:
            if error_code(error) != "404":
                raise
            return False
        return True

    def _put(self, key: str, body: bytes, headers: dict[str, str]) -> None:
        if len(body) < PART:
            self._client().put_object(Bucket=self._name, Key=key, Body=body, **headers)
        else:
            self._client().upload_fileobj(io.BytesIO(body), self._name, key, ExtraArgs=headers, Config=_IN_PARTS)

    def _client(self):
        return self._role.client("s3", region_name=self._region)
