"""The real worker with a watch on it: `python -m tests.crash.watched_worker`."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

import worker as real
from tests.crash.watch import Watch, call, install, watch_of_home


class Activities(Interceptor):
    """Each attempt of an activity is a call; its key is that of all attempts."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Attempts(next, self._watch)


class _Attempts(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, watch: Watch) -> None:
        super().__init__(next)
        self._watch = watch

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        with call(self._watch, info.activity_type, f"{info.workflow_id} {info.workflow_run_id} {info.activity_id}"):
            return await super().execute_activity(input)


if __name__ == "__main__":
    watch = watch_of_home()
    install(watch)
    real.Worker = functools.partial(real.Worker, interceptors=[Activities(watch)])  # type: ignore[assignment,misc]
    code = real.main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
