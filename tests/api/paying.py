"""Bodies of payment instruments, and where those of a borrower are."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import ApiClient

NUMBER, OTHER_NUMBER, TOKEN = "000123456789", "998877665544", "tok_1NabcdefSECRET"
REFERENCE: dict[str, Any] = {
    "instrument_type": "bank_account",
    "account_holder_name": "John Doe",
    "bank_name": "Chase",
    "routing_number": "021000021",
    "account_number_last_four": "6789",
    "account_type": "checking",
}
"""The body of the public reference."""
WITH_NUMBER = {**REFERENCE, "account_number": NUMBER}
CARD = {
    "instrument_type": "card",
    "account_holder_name": "John Doe",
    "account_number_last_four": "4242",
    "card_brand": "visa",
    "card_expiry_month": 9,
    "card_expiry_year": 2020,
}


def path_of(borrower_id: str) -> str:
    return f"/api/v1/borrowers/{borrower_id}/payment-instruments"


async def add(client: ApiClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    added: dict[str, Any] = response.json()
    return added
