"""What `perdiem demo` does on a running platform: the example loan lives through three months, over HTTP."""

from __future__ import annotations

import time
from datetime import date
from typing import Any
from uuid import UUID

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.demo_api import DemoApi
from cli.demo_tenant import SLUG, START, Logins, email_of, open_portal, prepare
from cli.errors import CliError
from cli.output import console
from domain.roles import Role
from infra.settings import Settings

LOAN_NUMBER = "LN-0001"
THIRD_DUE_DATE = "2020-12-09"
EXTRA = "500.00"
_PRINTED = {
    "payment": "297.47 x 35",
    "final payment": "296.86 on 2023-09-09",
    "finance charge": "708.31",
    "total of payments": "10708.31",
    "APR": "4.4966 %",
}
"""The figures printed in the public document the example loan is taken from."""

PROGRAM = {
    "name": "Personal loans, 36 months",
    "description": "Interest by the month, the first period by its actual days.",
    "terms": {
        "first_period": "actual_365",
        "allocation_order": ["fees", "interest", "principal"],
        "extra_money": "principal_only",
        "grace_days": 10,
        "late_fee": {"kind": "flat", "flat": "30.00"},
        "payoff_interest": "per_diem",
        "payoff_counts_today": True,
        "limits": {"max_principal": "40000.00", "max_rate": "0.36", "max_periods": 60},
    },
}
BORROWER = {"first_name": "Jordan", "last_name": "Example", "email": email_of(Role.BORROWER), "phone": "+12125550123"}
INSTRUMENT = {
    "instrument_type": "bank_account",
    "account_holder_name": "Jordan Example",
    "bank_name": "Example Bank",
    "routing_number": "021000021",
    "account_number": "000123456789",
    "account_type": "checking",
}
"""With its whole number, so that it can be drafted."""


def tell(settings: Settings) -> None:
    """Tells the story, or what became of it when it was told before. Every step may run twice and happens once, so a
    demonstration that was interrupted goes on where it stopped."""
    logins = prepare(settings)
    owner = email_of(Role.OWNER)
    with DemoApi(settings.public_url, SLUG, owner, logins.passwords[owner]) as api:
        loan_id = _book(api, settings, logins)
        _disburse_and_enrol(api, loan_id)
        _three_due_dates(api)
        _extra_payment(api, loan_id)
        _where_it_stands(api, loan_id)
        _links(api, settings, loan_id, logins)


def _say(text: str) -> None:
    console.print(f"\n[bold]{text}[/bold]")


def _book(api: DemoApi, settings: Settings, logins: Logins) -> UUID:
    known = api.get("/loans", loan_number=LOAN_NUMBER)["items"]
    if known:
        console.print("\nThe story was told on this data before; this is what is in the books.")
    loan = known[0] if known else _new_loan(api)
    open_portal(settings, logins, UUID(loan["borrower_id"]))
    loan_id = UUID(loan["id"])
    _say("1. A loan is booked: 10,000.00 at 4.5 %, 36 months from 2020-09-09")
    _show_schedule(api, loan_id)
    return loan_id


def _new_loan(api: DemoApi) -> Any:
    program = api.post("/programs", PROGRAM, step="program")
    borrower = api.post("/borrowers", BORROWER, step="borrower")
    body = {
        "borrower_id": borrower["id"],
        "program_id": program["id"],
        "principal_amount": "10000.00",
        "interest_rate": "0.045",
        "term_months": 36,
        "origination_date": START.isoformat(),
        "first_payment_date": "2020-10-09",
        "loan_number": LOAN_NUMBER,
    }
    return api.post("/loans", body, step="loan")


def _show_schedule(api: DemoApi, loan_id: UUID) -> None:
    loan = api.get(f"/loans/{loan_id}")
    rows = api.get(f"/loans/{loan_id}/schedule", booked="true")["items"]
    schedule = Table("no.", "due", "payment", "interest", "principal", "balance")
    for row in [*rows[:3], None, *rows[-2:]]:
        if row is None:
            schedule.add_row(*["..."] * 6)
        else:
            schedule.add_row(
                *(str(row[name]) for name in ("number", "due_date", "payment", "interest", "principal", "balance"))
            )
    console.print(schedule)
    level = [row for row in rows if row["payment"] == loan["payment_amount"]]
    ours = {
        "payment": f"{loan['payment_amount']} x {len(level)}",
        "final payment": f"{rows[-1]['payment']} on {rows[-1]['due_date']}",
        "finance charge": loan["finance_charge"],
        "total of payments": loan["total_of_payments"],
        "APR": f"{loan['apr']} %",
    }
    table = Table("figure", "Perdiem", "printed", "")
    for name, printed in _PRINTED.items():
        table.add_row(name, ours[name], printed, "same" if ours[name] == printed else "[red]differs[/red]")
    console.print(table)


def _disburse_and_enrol(api: DemoApi, loan_id: UUID) -> None:
    _say("2. It is disbursed, and the borrower enrols in autopay")
    loan = api.post(f"/loans/{loan_id}/disburse", {"date": START.isoformat()}, step="disburse")
    console.print(f"Loan {loan['loan_number']} was disbursed on {START}: {loan['principal_amount']} from cash.")
    accounts = f"/borrowers/{loan['borrower_id']}/payment-instruments"
    known = api.get(accounts)["items"]
    instrument = known[-1] if known else api.post(accounts, INSTRUMENT, step="instrument")
    body = {"payment_instrument_id": instrument["id"], "amount_type": "next_due"}
    enrolment = api.post(f"/loans/{loan_id}/autopay", body, step="autopay")
    console.print(f"Workflow {enrolment['workflow_id']} follows the due dates.")


def _three_due_dates(api: DemoApi) -> None:
    """Waits for an advance that is running already: of a demonstration that was interrupted, Temporal carries on with it."""
    now = api.get("/business-date")
    while now["business_date"] < THIRD_DUE_DATE or now["running_advance_id"]:
        today, running = now["business_date"], now["running_advance_id"]
        _say(f"3. The business date moves from {today} to {THIRD_DUE_DATE}, day by day, each closed by its own workflow")
        if running:
            advance = api.get(f"/business-date/advances/{running}")
        else:
            advance = api.post("/business-date/advance", {"to_date": THIRD_DUE_DATE}, step=f"advance from {today}")
        _watch(api, advance)
        now = api.get("/business-date")


def _watch(api: DemoApi, advance: dict[str, Any]) -> None:
    first, last = (_day(advance[name]) for name in ("from_date", "to_date"))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(advance["from_date"], total=last - first)
        seen, quiet_since = "", time.monotonic()
        while advance["status"] != "done":
            if advance["current_date"] != seen:
                seen, quiet_since = advance["current_date"], time.monotonic()
            if time.monotonic() - quiet_since > 120:
                raise CliError(f"The business date has stood at {seen} for two minutes: look at {advance['workflow_id']}.")
            time.sleep(0.5)
            advance = api.get(f"/business-date/advances/{advance['id']}")
            bar.update(task, completed=_day(advance["current_date"]) - first, description=advance["current_date"])


def _day(text: str) -> int:
    return date.fromisoformat(text).toordinal()


def _extra_payment(api: DemoApi, loan_id: UUID) -> None:
    _say(f"4. The borrower sends {EXTRA} more by check: first a preview, which writes nothing, then the payment")
    path = f"/loans/{loan_id}/payments"
    request = {"amount": EXTRA, "payment_method": "check", "external_id": "demo-extra-payment"}
    known = api.get("/payments", external_id=request["external_id"])["items"]
    table = Table("", "amount", "fees", "interest", "principal", "principal left")
    if not known:
        foreseen = api.post(f"{path}/preview", {"amount": EXTRA})
        table.add_row("preview", *_applied(foreseen), foreseen["remaining_principal"])
    paid = api.post(path, request, step="extra payment")
    table.add_row("recorded", *_applied(paid), api.get(f"/loans/{loan_id}")["principal_balance"])
    console.print(table)


def _applied(payment: dict[str, Any]) -> list[str]:
    return [payment[name] for name in ("amount", "fees_applied", "interest_applied", "principal_applied")]


def _where_it_stands(api: DemoApi, loan_id: UUID) -> None:
    loan = api.get(f"/loans/{loan_id}")
    _say(f"5. Where the loan stands on {loan['as_of']}")
    table = Table("", "")
    for label, name in (
        ("status", "status"),
        ("principal balance", "principal_balance"),
        ("accrued interest", "accrued_interest"),
        ("per diem", "per_diem"),
        ("payoff today", "payoff"),
        ("paid so far", "total_paid"),
        ("next payment", "next_payment_amount"),
        ("due on", "next_payment_date"),
    ):
        table.add_row(label, str(loan[name]))
    console.print(table)
    payments = Table("effective", "method", "amount", "interest", "principal", "status")
    for row in reversed(api.get(f"/loans/{loan_id}/payments")["items"]):
        amount, _, interest, principal = _applied(row)
        payments.add_row(row["effective_date"], row["payment_method"], amount, interest, principal, row["status"])
    console.print(payments)
    _show_books(api)


def _show_books(api: DemoApi) -> None:
    trial = api.get("/gl/trial-balance")
    table = Table("account", "", "debit", "credit", "balance", title=f"Trial balance as of {trial['as_of']}")
    for row in trial["accounts"]:
        if row["debit"] != row["credit"] or row["debit"] != "0.00":
            table.add_row(str(row["code"]), row["name"], row["debit"], row["credit"], row["balance"])
    table.add_row("", "sum", trial["total_debit"], trial["total_credit"], trial["total"], style="bold")
    console.print(table)


def _links(api: DemoApi, settings: Settings, loan_id: UUID, logins: Logins) -> None:
    autopay = api.get(f"/loans/{loan_id}/autopay")
    _say("6. The autopay process, as Temporal has it")
    state = autopay["workflow"] or {"step": "Temporal does not answer", "waiting_on": "it", "drafts": "?"}
    console.print(f"{autopay['workflow_id']}: {state['step']}, waiting on {state['waiting_on']}; {state['drafts']} drafts")
    console.print(f"  {autopay['ui_url']}")
    console.print(f"\nAPI, to try     {settings.public_url}/docs")
    console.print(f"all workflows   {settings.temporal_ui_url}")
    console.print(f"\nLogins of the lender {SLUG} (POST /api/v1/auth/login):")
    for email, password in logins.passwords.items():
        console.print(f"  {email:37} {password}", markup=False)
