"""The routers of /api/v1, one line each, in the order of the documentation.

A router module defines `router = APIRouter(prefix="/loans", tags=["loans"])`: the prefix is without /api/v1 (portal routers:
"/portal/..."), the first tag and the function's name together make the operation id, so both together are unique.
"""

from __future__ import annotations

from fastapi import APIRouter

from api.routers import (
    actions,
    approvals,
    audit,
    auth,
    autopay,
    borrower_entries,
    borrowers,
    corrections,
    dates,
    explain,
    flags,
    instruments,
    journal,
    loans,
    payment_batches,
    payments,
    payouts,
    periods,
    processes,
    programs,
    rails,
    recurring_payments,
    reversals,
    simulate,
    status_archive,
    tenant,
    users,
    webhooks,
)
from api.routers.portal import autopay as portal_autopay
from api.routers.portal import config as portal_config
from api.routers.portal import instruments as portal_instruments
from api.routers.portal import loans as portal_loans
from api.routers.portal import payments as portal_payments
from api.routers.portal import profile as portal_profile
from api.routers.portal import recurring_payments as portal_recurring_payments

ROUTERS: list[APIRouter] = [
    payments.router,  # first: routes are tried one after the other, and this one is in a hurry
    auth.router,
    tenant.router,
    users.router,
    users.activation_router,
    programs.router,
    borrowers.router,
    borrower_entries.router,
    instruments.router,
    loans.router,
    status_archive.router,
    explain.router,
    simulate.router,
    actions.router,
    payouts.router,
    payment_batches.router,
    corrections.router,
    reversals.router,
    approvals.router,
    flags.router,
    autopay.router,
    recurring_payments.router,
    dates.router,
    processes.router,
    journal.router,
    periods.router,
    rails.settings_router,
    rails.router,
    rails.cases_router,
    webhooks.router,
    audit.router,
    portal_config.router,
    portal_profile.router,
    portal_loans.router,
    portal_payments.router,
    portal_autopay.router,
    portal_recurring_payments.router,
    portal_instruments.router,
]
