"""`perdiem migrate`."""

from cli.output import console
from standalone.prepare import prepare_database, prepare_storage, prepare_temporal
from standalone.runtime import connected_settings


def migrate() -> None:
    """Bring the database's schema, and the bucket and Temporal where they are set, to what this version needs."""
    settings = connected_settings()
    prepare_database(settings)
    console.print("The schema is up to date.")
    if settings.s3_endpoint:
        prepare_storage(settings)
        console.print(f"The bucket {settings.s3_bucket} is there.")
    if settings.temporal_address:
        prepare_temporal(settings)
        console.print("Temporal knows the search attributes.")
