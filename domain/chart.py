"""The chart of accounts: one list for everything that is posted."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final


class AccountKind(StrEnum):
    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"
    MEMO = "memo"


class Side(StrEnum):
    DEBIT = "debit"
    CREDIT = "credit"


class Account(IntEnum):
    """An account by its code. Memo accounts carry what a borrower owes that is not on our own books."""

    CASH = 1000
    CLEARING = 1010
    CUSTODIAL_CASH = 1025
    PRINCIPAL = 1100
    ACCRUED_INTEREST = 1110
    LATE_FEES = 1120
    NSF_FEES = 1125
    OTHER_FEES = 1126
    DUE_FROM_BORROWER = 1130
    PREMIUM_DISCOUNT = 1180
    ALLOWANCE = 1190
    SERVICING_ASSET = 1200
    DUE_FROM_INVESTOR = 1210
    BOARDING_CLEARING = 1990
    UNAPPLIED = 2000
    REFUNDS_PAYABLE = 2010
    INVESTOR_PAYABLE = 2020
    INTEREST_INCOME = 4000
    LATE_FEE_INCOME = 4010
    NSF_FEE_INCOME = 4020
    OTHER_FEE_INCOME = 4025
    SERVICING_FEE_INCOME = 4030
    GAIN_ON_SALE = 4040
    PROVISION = 5000
    WAIVERS = 5010
    GOODWILL = 5020
    MEMO_CHARGED_OFF = 9100
    MEMO_NON_ACCRUAL_INTEREST = 9110
    MEMO_SERVICED_FOR_OTHERS = 9120
    MEMO_CONTRA = 9900

    @property
    def title(self) -> str:
        """The account's name in the general ledger."""
        return _TITLES[self]

    @property
    def kind(self) -> AccountKind:
        return _KINDS[self.value // 1000]

    @property
    def normal_side(self) -> Side:
        """The side on which the account's balance normally stands (contra accounts: the other one)."""
        credit = self in _CONTRA or self.kind in (AccountKind.LIABILITY, AccountKind.INCOME)
        return Side.CREDIT if credit else Side.DEBIT


_KINDS: Final[dict[int, AccountKind]] = {
    1: AccountKind.ASSET,
    2: AccountKind.LIABILITY,
    4: AccountKind.INCOME,
    5: AccountKind.EXPENSE,
    9: AccountKind.MEMO,
}

_CONTRA: Final = frozenset({Account.ALLOWANCE, Account.MEMO_CONTRA})

_TITLES: Final[dict[Account, str]] = {
    Account.CASH: "Cash",
    Account.CLEARING: "Payment clearing",
    Account.CUSTODIAL_CASH: "Custodial cash",
    Account.PRINCIPAL: "Loan principal receivable",
    Account.ACCRUED_INTEREST: "Accrued interest receivable",
    Account.LATE_FEES: "Late fees receivable",
    Account.NSF_FEES: "NSF fees receivable",
    Account.OTHER_FEES: "Other fees receivable",
    Account.DUE_FROM_BORROWER: "Due from borrower",
    Account.PREMIUM_DISCOUNT: "Premium or discount on loans",
    Account.ALLOWANCE: "Allowance for loan losses",
    Account.SERVICING_ASSET: "Servicing asset",
    Account.DUE_FROM_INVESTOR: "Due from investor",
    Account.BOARDING_CLEARING: "Boarding clearing",
    Account.UNAPPLIED: "Unapplied funds",
    Account.REFUNDS_PAYABLE: "Refunds payable",
    Account.INVESTOR_PAYABLE: "Investor payable",
    Account.INTEREST_INCOME: "Interest income",
    Account.LATE_FEE_INCOME: "Late fee income",
    Account.NSF_FEE_INCOME: "NSF fee income",
    Account.OTHER_FEE_INCOME: "Other fee income",
    Account.SERVICING_FEE_INCOME: "Servicing fee income",
    Account.GAIN_ON_SALE: "Gain or loss on sale of loans",
    Account.PROVISION: "Provision for loan losses",
    Account.WAIVERS: "Fee and interest waivers",
    Account.GOODWILL: "Goodwill reimbursements",
    Account.MEMO_CHARGED_OFF: "Memo: charged-off balances",
    Account.MEMO_NON_ACCRUAL_INTEREST: "Memo: non-accrual interest",
    Account.MEMO_SERVICED_FOR_OTHERS: "Memo: serviced for others",
    Account.MEMO_CONTRA: "Memo: contra",
}
