"""Encryption of single fields at rest, and keyed hashes to find a row by a value that is not stored in the clear."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.settings import Settings

_VERSION = b"\x01"
_NONCE = 12


@dataclass(frozen=True, slots=True)
class Vault:
    """The keys of this installation, derived from the master secret. `Vault.of(settings)`."""

    _field_key: bytes = field(repr=False)
    _hash_key: bytes = field(repr=False)
    access_token_key: bytes = field(repr=False)
    refresh_token_key: bytes = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Vault:
        """Derive the keys. Raises SettingsError when the master secret is absent or too short."""
        return cls(
            settings.derive_key("field-encryption"),
            settings.derive_key("keyed-hash"),
            settings.derive_key("access-token"),
            settings.derive_key("refresh-token"),
        )

    def encrypt(self, text: str, bound_to: str) -> bytes:
        """AES-256-GCM of a text, with a random nonce.

        `bound_to` names the place of the value (such as "borrowers.ssn/<tenant id>/<borrower id>"): the ciphertext
        copied to any other place does not decrypt.
        """
        nonce = os.urandom(_NONCE)
        return _VERSION + nonce + AESGCM(self._field_key).encrypt(nonce, text.encode(), bound_to.encode())

    def decrypt(self, sealed: bytes, bound_to: str) -> str:
        """The text again. Raises cryptography.exceptions.InvalidTag when it was changed or moved, or the key is another."""
        nonce, ciphertext = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        return AESGCM(self._field_key).decrypt(nonce, ciphertext, bound_to.encode()).decode()

    def keyed_hash(self, purpose: str, text: str) -> bytes:
        """HMAC-SHA256: equal texts of one purpose have equal hashes, and nobody without the key can try texts."""
        return hmac.new(self._hash_key, f"{purpose}\0{text}".encode(), hashlib.sha256).digest()
