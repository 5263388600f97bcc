"""The mails about accounts and payments. A link carries its token in the fragment, which browsers never send to a server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from domain.money import format_amount
from domain.payouts import PayoutKind
from infra.notifier import Mail
from services.one_time_tokens import LIFETIME, Purpose


def _link(public_url: str, purpose: Purpose, token: str) -> str:
    return f"{public_url}/set-password#purpose={purpose}&token={token}"


def invitation(public_url: str, tenant_name: str, to: str, name: str, token: str) -> Mail:
    """To a new member of staff."""
    return Mail(
        to,
        f"Your invitation to {tenant_name}",
        f"Hello {name},\n\nyou are invited to work with {tenant_name}. Choose your password here:\n\n"
        f"{_link(public_url, Purpose.INVITATION, token)}\n\n"
        f"The link works once, for {LIFETIME[Purpose.INVITATION].days} days.\n",
    )


def activation(public_url: str, tenant_name: str, to: str, name: str, token: str) -> Mail:
    """To a borrower, for the portal."""
    return Mail(
        to,
        f"Your online account with {tenant_name}",
        f"Hello {name},\n\nsee your loan and pay online with {tenant_name}. Choose your password here:\n\n"
        f"{_link(public_url, Purpose.ACTIVATION, token)}\n\n"
        f"The link works once, for {LIFETIME[Purpose.ACTIVATION].days} days. "
        "You need do nothing if you don't want an account.\n",
    )


def password_reset(public_url: str, tenant_name: str, to: str, name: str, token: str) -> Mail:
    """To somebody who asked for a new password."""
    return Mail(
        to,
        f"Your password for {tenant_name}",
        f"Hello {name},\n\nchoose a new password for {tenant_name} here:\n\n"
        f"{_link(public_url, Purpose.PASSWORD_RESET, token)}\n\n"
        "The link works once, for one hour. If you did not ask for it, ignore this mail: nothing has changed.\n",
    )


def locked(tenant_name: str, to: str, name: str, minutes: int) -> Mail:
    """To somebody whose account is locked after wrong passwords; the login page must not say so to a stranger."""
    return Mail(
        to,
        f"Your account with {tenant_name} is locked for {minutes} minutes",
        f"Hello {name},\n\nsomebody gave a wrong password for your account several times, so it is locked for {minutes} "
        "minutes. If it was not you, you need do nothing: your password still protects it.\n",
    )


def payment_reversed(
    tenant_name: str, to: str, name: str, amount: str, effective_date: date, more: Sequence[str], key: str
) -> Mail:
    """To a borrower whose payment was taken back. `amount`: as it is shown; `more`: sentences on what followed from it."""
    paragraphs = [
        f"Hello {name},",
        f"your payment of {amount} of {effective_date} has been reversed: it no longer counts as paid on your loan. "
        "Interest, fees and what is due are what they would be without it.",
        *more,
        f"If you have questions, ask {tenant_name}.",
    ]
    return Mail(to, f"Your payment to {tenant_name} was reversed", "\n\n".join(paragraphs) + "\n", key)


def payment_returned(
    tenant_name: str, to: str, name: str, amount: str, effective_date: date, why: str, more: Sequence[str], key: str
) -> Mail:
    """To a borrower whose bank did not let a payment stand. `amount`: as it is shown; `why`: the bank's code and meaning;
    `more`: sentences on what follows from it."""
    paragraphs = [
        f"Hello {name},",
        f"your bank has returned your payment of {amount} of {effective_date} ({why}): it does not count as paid on your "
        "loan. Interest, fees and what is due are what they would be without it.",
        *more,
        f"If you have questions, ask {tenant_name}.",
    ]
    return Mail(to, f"Your payment to {tenant_name} was returned by your bank", "\n\n".join(paragraphs) + "\n", key)


def draft_ahead(
    tenant_name: str, to: str, name: str, amount: str, on: date, last_four: str | None, instead_of: str, key: str
) -> Mail:
    """To a borrower whose next draft takes another amount. `amount`: as it is shown; `instead_of`: what it is not; `on`: the
    day it goes out; `last_four`: digits of the account. What it says: 12 CFR 1005.10(c)(1), (d)(1)."""
    account = f"your account ending in {last_four}" if last_four else "your account"
    paragraphs = [
        f"Hello {name},",
        f"your automatic payment of {on} will be {amount}, from {account}. This is not {instead_of}.",
        f"To stop this payment, or all automatic payments, tell {tenant_name} at least three business days before {on}.",
        f"If you have questions, ask {tenant_name}.",
    ]
    return Mail(to, f"Your automatic payment to {tenant_name} on {on}: {amount}", "\n\n".join(paragraphs) + "\n", key)


def payout_sent(tenant_name: str, to: str, name: str, kind: PayoutKind, amount: int, on: date, key: str) -> Mail:
    """To a borrower whose refund or reimbursement of `amount` minor units went out on a banking day."""
    what = "a refund of money that you paid" if kind is PayoutKind.REFUND else "a payment to you, in goodwill"
    return Mail(
        to,
        f"{tenant_name} has sent you {format_amount(amount)}",
        f"Hello {name},\n\non {on} we sent you {format_amount(amount)}: {what}. "
        "Your bank may take one or two banking days to show it.\n",
        key,
    )
