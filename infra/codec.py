"""Encryption of everything a workflow carries: what Temporal stores of arguments and results is ciphertext."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

ENCODING: Final = b"binary/encrypted"
CIPHER: Final = b"AES-256-GCM"
_NONCE_BYTES: Final = 12
_METADATA_TYPE: Final = b"temporal.api.sdk.v1.WorkflowMetadata"


class UnreadablePayload(Exception):
    """A payload was written with another key, or was changed."""


class EncryptionCodec(PayloadCodec):
    """AES-256-GCM over each payload with a fresh nonce.

    Left in the clear is the SDK's own workflow metadata (names of handlers and the current details): it is what an
    operator reads in Temporal's UI, and by rule holds no personal data.
    """

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes."""
        self._cipher = AESGCM(key)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [payload if _is_metadata(payload) else self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises UnreadablePayload when a payload was not written with our key."""
        return [self._open(payload) if payload.metadata.get("encoding") == ENCODING else payload for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, payload.SerializeToString(), CIPHER)
        return Payload(metadata={"encoding": ENCODING, "encryption-cipher": CIPHER}, data=sealed)

    def _open(self, payload: Payload) -> Payload:
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(self._cipher.decrypt(nonce, sealed, CIPHER))
        except (InvalidTag, ValueError):
            raise UnreadablePayload("a workflow payload cannot be decrypted: was PERDIEM_SECRET_KEY changed?") from None


def _is_metadata(payload: Payload) -> bool:
    return payload.metadata.get("messageType") == _METADATA_TYPE
