"""Mail to borrowers as a part of a step."""

from __future__ import annotations

from temporalio.exceptions import ApplicationError

from infra.notifier import Mail, Notifier, Undelivered


async def deliver(notifier: Notifier, mail: Mail) -> None:
    """Send a mail. Raises ApplicationError whose type is the kind of error, for its text may hold the address; it is not
    tried again where no further attempt would bring it there."""
    try:
        await notifier.deliver(mail)
    except Undelivered as error:
        raise ApplicationError("the mail was not sent", type=str(error), non_retryable=error.final) from None
