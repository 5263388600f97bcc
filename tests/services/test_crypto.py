"""Fields encrypted at rest, and keyed hashes."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag

from infra.crypto import Vault
from infra.settings import Settings, SettingsError

SSN = "078051120"
PLACE = "borrowers.ssn/t/b"


@pytest.fixture(scope="module")
def vault() -> Vault:
    return Vault.of(Settings(secret_key="a secret that only the tests know, 0123456789"))


def test_what_was_encrypted_comes_back(vault: Vault) -> None:
    assert vault.decrypt(vault.encrypt(SSN, PLACE), PLACE) == SSN


def test_two_encryptions_of_one_text_differ_and_show_nothing_of_it(vault: Vault) -> None:
    one, two = vault.encrypt(SSN, PLACE), vault.encrypt(SSN, PLACE)
    assert one != two
    assert SSN.encode() not in one


def test_a_changed_or_moved_ciphertext_does_not_decrypt(vault: Vault) -> None:
    sealed = vault.encrypt(SSN, PLACE)
    for position in range(1, len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(InvalidTag):
            vault.decrypt(bytes(changed), PLACE)
    with pytest.raises(InvalidTag):
        vault.decrypt(sealed, "borrowers.ssn/t/another")


def test_another_installation_reads_nothing_and_hashes_otherwise(vault: Vault) -> None:
    other = Vault.of(Settings(secret_key="the secret of another installation, 0123456789"))
    with pytest.raises(InvalidTag):
        other.decrypt(vault.encrypt(SSN, PLACE), PLACE)
    assert other.keyed_hash("login", "a@example.com") != vault.keyed_hash("login", "a@example.com")


def test_a_hash_depends_on_its_purpose(vault: Vault) -> None:
    assert vault.keyed_hash("login", "a") == vault.keyed_hash("login", "a")
    assert len({vault.keyed_hash("login", "a"), vault.keyed_hash("ssn", "a"), vault.keyed_hash("login", "b")}) == 3


def test_the_keys_are_not_printed(vault: Vault) -> None:
    assert "key=b" not in repr(vault)


def test_there_is_no_vault_without_a_secret() -> None:
    for secret in ("", "too short"):
        with pytest.raises(SettingsError):
            Vault.of(Settings(secret_key=secret))
