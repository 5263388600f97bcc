"""Documents in S3.

Objects are written by our processes (`put`) or by a browser through a presigned URL that fixes the
size, the type and the SHA-256 of what may be stored under it. Keys are chosen by services, never by a user.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.settings import Settings

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

P = ParamSpec("P")
R = TypeVar("R")

_MISSING = {"404", "NoSuchKey", "NotFound"}
_BUCKET_IS_THERE = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


class StorageError(Exception):
    """S3 did not do what was asked; worth a retry unless it is one of the kinds below."""


class ObjectMissingError(StorageError):
    """There is no object under that key."""


class StorageRefusedError(StorageError):
    """S3 refused the credentials or the request; a retry gets the same answer."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What S3 knows of an object. `sha256` is lower-case hex, None when S3 holds no checksum of the whole."""

    key: str
    size: int
    content_type: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class PresignedUpload:
    """How a browser stores one object: `method` to `url` with exactly these headers."""

    method: str
    url: str
    headers: dict[str, str]


class ObjectStore:
    """One bucket. Cheap to keep, expensive to make: one per process."""

    def __init__(self, settings: Settings) -> None:
        settings.require("s3_endpoint", "s3_access_key", "s3_secret_key", "s3_bucket")
        self._bucket = settings.s3_bucket
        self._client = _client(settings, settings.s3_endpoint)
        public = settings.s3_public_endpoint
        self._public_client = _client(settings, public) if public else self._client

    def ensure_bucket(self) -> None:
        """Makes the bucket if it is not there; safe to run at the same time in several processes."""
        try:
            self._client.create_bucket(Bucket=self._bucket)
        except ClientError as error:
            if _code(error) not in _BUCKET_IS_THERE:
                raise _translated(error, self._bucket) from error
        except BotoCoreError as error:
            raise _translated(error, self._bucket) from error

    async def put(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """Stores `body` under `key`, replacing what was there; S3 verifies the checksum."""
        digest = hashlib.sha256(body)
        await self._call(
            key,
            self._client.put_object,
            Bucket=self._bucket,
            Key=key,
            Body=body,
            ContentType=content_type,
            ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
        )
        return StoredObject(key, len(body), content_type, digest.hexdigest())

    async def get(self, key: str, *, first: int | None = None) -> bytes:
        """The bytes of an object, or its `first` bytes (fewer when it is shorter).

        Raises: ObjectMissingError.
        """

        def read() -> bytes:
            wanted: dict[str, Any] = {} if first is None else {"Range": f"bytes=0-{first - 1}"}
            return self._client.get_object(Bucket=self._bucket, Key=key, **wanted)["Body"].read()

        try:
            return await self._call(key, read)
        except StorageError as error:
            if isinstance(error.__cause__, ClientError) and _code(error.__cause__) == "InvalidRange":
                return b""  # the first bytes of an empty object
            raise

    async def head(self, key: str) -> StoredObject | None:
        """What S3 knows of an object, None when there is none."""
        try:
            found = await self._call(key, self._client.head_object, Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        except ObjectMissingError:
            return None
        checksum = _hex(found.get("ChecksumSHA256"))
        return StoredObject(key, found["ContentLength"], found.get("ContentType", ""), checksum)

    async def move(self, source: str, target: str) -> None:
        """Renames an object. Run twice, it is done once.

        Raises: ObjectMissingError when neither is there.
        """
        try:
            await self._call(
                source,
                self._client.copy_object,
                Bucket=self._bucket,
                Key=target,
                CopySource={"Bucket": self._bucket, "Key": source},
            )
        except ObjectMissingError:
            if await self.head(target) is None:
                raise
        await self.delete(source)

    async def delete(self, key: str) -> None:
        """Deletes an object; nothing happens when there is none."""
        try:
            await self._call(key, self._client.delete_object, Bucket=self._bucket, Key=key)
        except ObjectMissingError:
            return

    def presign_upload(self, key: str, *, content_type: str, size: int, sha256: str, expires: timedelta) -> PresignedUpload:
        """A URL under which exactly one content may be stored: `size` bytes with this SHA-256 (hex) and type."""
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        url = self._public_client.generate_presigned_url(
            "put_object",
            Params={
                "Bucket": self._bucket,
                "Key": key,
                "ContentType": content_type,
                "ContentLength": size,
                "ChecksumSHA256": checksum,
            },
            ExpiresIn=int(expires.total_seconds()),
        )
        headers = {"Content-Type": content_type, "Content-Length": str(size), "x-amz-checksum-sha256": checksum}
        return PresignedUpload("PUT", url, headers)

    def presign_download(self, key: str, *, filename: str, expires: timedelta) -> str:
        """A URL that downloads the object under `filename`. Always as an attachment, so that an uploaded page never
        runs in the bucket's origin."""
        disposition = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        return self._public_client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self._bucket, "Key": key, "ResponseContentDisposition": disposition},
            ExpiresIn=int(expires.total_seconds()),
        )

    async def _call(self, key: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """boto3 is synchronous: it runs in a thread, and its errors become ours."""
        try:
            return await asyncio.to_thread(function, *args, **kwargs)
        except (ClientError, BotoCoreError) as error:
            raise _translated(error, key) from error


def _client(settings: Settings, endpoint: str) -> S3Client:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=3,
            read_timeout=30,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=32,
            # Where we name no checksum, boto3 adds none: an added one would become part of presigned URLs.
            request_checksum_calculation="when_required",
        ),
    )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _hex(checksum: str | None) -> str | None:
    """S3's base64 as hex; the checksum of a multipart object ("...-3") is not one of its bytes."""
    if not checksum or "-" in checksum:
        return None
    try:
        return base64.b64decode(checksum, validate=True).hex()
    except binascii.Error:
        return None


def _translated(error: ClientError | BotoCoreError, key: str) -> StorageError:
    if not isinstance(error, ClientError):
        return StorageError(f"S3 does not answer ({type(error).__name__})")
    code = _code(error)
    if code in _MISSING:
        return ObjectMissingError(f"S3 has no object {key}")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    kind = StorageRefusedError if 400 <= status < 500 and status not in (408, 429) else StorageError
    return kind(f"S3 answered {code} for {key}")
