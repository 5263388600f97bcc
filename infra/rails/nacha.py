"""The NACHA rail: a cutoff's file lies in S3 under its own name, from where it is carried to the lender's bank."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final
from uuid import UUID

from domain.rails import settles_on
from infra.calendar import bank_holidays
from infra.rails import Batch, Returned
from infra.storage import ObjectStore, StorageError

CONTENT_TYPE: Final = "text/plain; charset=us-ascii"


class NachaRail:
    """`store` is where the files lie."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def hand_over(self, batch: Batch) -> Mapping[UUID, date | None]:
        """Store the file, unless it lies there already, and see that it does: that is the acknowledgement.

        Raises StorageError when S3 does not have these bytes afterwards."""
        if batch.file is None:
            return {}
        key, digest = batch.file.key, hashlib.sha256(batch.file.content).hexdigest()
        found = await self._store.head(key)
        if found is None:
            await self._store.put(key, batch.file.content, CONTENT_TYPE)
            found = await self._store.head(key)
        if found is None or found.sha256 != digest:
            raise StorageError(f"S3 has other bytes under {key} than the file of this cutoff")
        return dict.fromkeys([item.entry_id for item in batch.items], settles_on(batch.on, bank_holidays()))

    async def came_back(self, on: date, limit: int) -> Sequence[Returned]:
        """Nothing: what a bank answers comes as a file."""
        return ()
