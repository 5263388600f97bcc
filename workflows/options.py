"""Timeouts, retry policies and search attributes, by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.workflow import ActivityConfig, LocalActivityConfig

FOREVER: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)
"""Until it succeeds: what a step must do is decided already, and a refusal ends it by being non-retryable."""

QUICK: Final = ActivityConfig(start_to_close_timeout=timedelta(seconds=10), retry_policy=FOREVER)
"""One transaction."""

LOCAL: Final = LocalActivityConfig(start_to_close_timeout=timedelta(seconds=10), retry_policy=FOREVER)
"""One short transaction inside the workflow's own task: for steps of which there are many, a day each."""

DELIVERY: Final = ActivityConfig(start_to_close_timeout=timedelta(seconds=20), retry_policy=FOREVER)
"""One attempt to reach somebody else, of at most ten seconds, between two transactions."""

BATCH: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=10), heartbeat_timeout=timedelta(seconds=20), retry_policy=FOREVER
)
"""Pages of transactions with a checkpoint in the database."""

MAIL: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=30),
    schedule_to_close_timeout=timedelta(days=1),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=10)
    ),
)
"""One message to a server of others, which may be away: given up after a day, for people to see."""

TENANT_ID: Final = SearchAttributeKey.for_keyword("TenantId")
WORKFLOW_KIND: Final = SearchAttributeKey.for_keyword("WorkflowKind")
BUSINESS_DATE: Final = SearchAttributeKey.for_keyword("BusinessDate")
STAGE: Final = SearchAttributeKey.for_keyword("Stage")
