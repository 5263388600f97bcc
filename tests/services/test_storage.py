"""Objects in a real S3 gateway: what our processes write, and what a browser may do with a presigned URL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr

from infra.settings import Settings
from infra.storage import ObjectMissingError, ObjectStore, PresignedUpload, StorageRefusedError
from tests.objects import gateway

PDF = b"%PDF-1.7 a letter from the employer"
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with gateway(tmp_path_factory.mktemp("s3")) as settings:
        yield settings


@pytest.fixture(scope="module")
def store(settings: Settings) -> ObjectStore:
    store = ObjectStore(settings)
    store.ensure_bucket()
    store.ensure_bucket()  # every process does it at its start
    return store


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def upload_of(store: ObjectStore, key: str, content: bytes = PDF) -> PresignedUpload:
    return store.presign_upload(
        key, content_type="application/pdf", size=len(content), sha256=sha256(content), expires=MINUTE
    )


def send(upload: PresignedUpload, content: bytes, **changed: str) -> int:
    headers = httpx.Headers(upload.headers)
    headers.update({name.replace("_", "-"): value for name, value in changed.items()})
    return httpx.request(upload.method, upload.url, headers=headers, content=content).status_code


async def fetch(url: str) -> httpx.Response:
    async with httpx.AsyncClient() as browser:
        return await browser.get(url)


class TestOurOwnObjects:
    async def test_what_is_put_is_got_with_its_size_type_and_checksum(self, store: ObjectStore) -> None:
        stored = await store.put("t/put", PDF, "application/pdf")

        assert await store.get("t/put") == PDF
        assert await store.head("t/put") == stored
        assert (stored.size, stored.content_type, stored.sha256) == (len(PDF), "application/pdf", sha256(PDF))

    @pytest.mark.parametrize(("content", "first", "expected"), [(PDF, 4, b"%PDF"), (b"ab", 4, b"ab"), (b"", 4, b"")])
    async def test_the_first_bytes_for_sniffing_a_type(
        self, store: ObjectStore, content: bytes, first: int, expected: bytes
    ) -> None:
        await store.put("t/first", content, "application/octet-stream")
        assert await store.get("t/first", first=first) == expected

    async def test_what_is_not_there(self, store: ObjectStore) -> None:
        assert await store.head("t/nothing") is None
        with pytest.raises(ObjectMissingError, match="t/nothing"):
            await store.get("t/nothing")
        await store.delete("t/nothing")

    async def test_a_move_run_twice_is_done_once(self, store: ObjectStore) -> None:
        await store.put("t/from", PDF, "application/pdf")
        await store.move("t/from", "t/to")
        await store.move("t/from", "t/to")

        assert await store.get("t/to") == PDF
        assert await store.head("t/from") is None
        with pytest.raises(ObjectMissingError):
            await store.move("t/nothing", "t/nowhere")

    async def test_a_wrong_secret_is_refused(self, settings: Settings) -> None:
        wrong = ObjectStore(settings.model_copy(update={"s3_secret_key": SecretStr("wrong")}))
        with pytest.raises(StorageRefusedError, match="SignatureDoesNotMatch"):
            await wrong.put("t/wrong", b"x", "text/plain")


class TestAPresignedUpload:
    async def test_stores_exactly_what_was_announced(self, store: ObjectStore) -> None:
        assert send(upload_of(store, "up/right"), PDF) == 200

        stored = await store.head("up/right")
        assert stored is not None
        assert (stored.size, stored.content_type, stored.sha256) == (len(PDF), "application/pdf", sha256(PDF))

    @pytest.mark.parametrize(
        ("why", "content", "changed"),
        [
            ("other bytes of the same size", PDF[::-1], {}),
            ("more bytes", PDF + b"!", {"content_length": str(len(PDF) + 1)}),
            ("another type", PDF, {"content_type": "text/html"}),
            ("another checksum", PDF, {"x_amz_checksum_sha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}),
        ],
    )
    async def test_refuses_anything_else(
        self, store: ObjectStore, why: str, content: bytes, changed: dict[str, str]
    ) -> None:
        assert send(upload_of(store, "up/wrong"), content, **changed) in (400, 403), why
        assert await store.head("up/wrong") is None

    async def test_is_for_one_key_only(self, store: ObjectStore) -> None:
        upload = upload_of(store, "up/mine")
        other = PresignedUpload(upload.method, upload.url.replace("up/mine", "up/yours"), upload.headers)
        assert send(other, PDF) == 403


class TestAPresignedDownload:
    async def test_is_always_an_attachment_under_the_given_name(self, store: ObjectStore) -> None:
        await store.put("down/page", b"<script>alert(1)</script>", "text/html")
        url = store.presign_download("down/page", filename='Zoë "1".html', expires=MINUTE)

        answer = await fetch(url)

        assert answer.status_code == 200
        assert answer.content == b"<script>alert(1)</script>"
        assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''Zo%C3%AB%20%221%22.html"

    async def test_does_not_work_without_its_signature(self, store: ObjectStore) -> None:
        await store.put("down/secret", b"x", "text/plain")
        url = store.presign_download("down/secret", filename="x", expires=MINUTE)
        assert (await fetch(url.split("?")[0])).status_code == 403
