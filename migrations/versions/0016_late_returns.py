"""Cases about returns that came after the network's deadline."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("ck_cases_kind"), "cases")
    kinds = "kind IN ('draft_in_transit', 'return_to_review', 'late_return')"
    op.create_check_constraint(op.f("ck_cases_kind"), "cases", kinds)
