"""Pictures in a bucket: any storage that speaks S3, here moto's on this machine."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import httpx
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from moto.server import ThreadedMotoServer
from pytest_django import Settings

from apps.profiles import services
from apps.profiles.services import remove_avatar, set_avatar
from apps.users.models import User
from tests.conftest import PASSWORD
from tests.pictures import phone_jpeg
from tests.processes import Server

KEYS = {"S3_ACCESS_KEY": "tests", "S3_SECRET_KEY": "tests"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    name = f"bucket-{abs(hash(request.node.nodeid))}"
    s3 = boto3.resource(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="tests", aws_secret_access_key="tests"
    )
    made = s3.create_bucket(Bucket=name)
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    made.Policy().put(Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))
    yield made
    made.objects.all().delete()
    made.delete()


@pytest.fixture
def _stored_there(settings: Settings, endpoint: str, bucket: Any) -> None:
    options = settings.S3_STORAGE["OPTIONS"] | {
        "bucket_name": bucket.name,
        "endpoint_url": endpoint,
        "access_key": "tests",
        "secret_key": "tests",
        "custom_domain": f"{endpoint.removeprefix('http://')}/{bucket.name}",
        "url_protocol": "http:",
    }
    settings.STORAGES = settings.STORAGES | {"default": settings.S3_STORAGE | {"OPTIONS": options}}
    assert type(storages["default"]).__name__ == "S3Storage"


def keys(bucket: Any) -> list[str]:
    return sorted(one.key for one in bucket.objects.all())


@pytest.mark.usefixtures("_stored_there")
def test_it_works(alice: User, bucket: Any) -> None:
    profile = set_avatar(alice, ContentFile(phone_jpeg()))
    assert keys(bucket) == [f"avatars/{profile.avatar}/{size}.webp" for size in (128, 256, 512, 64)]
    answer = httpx.get(profile.avatar_url(64))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]

    another = set_avatar(alice, ContentFile(phone_jpeg()))
    assert {key.split("/")[1] for key in keys(bucket)} == {another.avatar}
    remove_avatar(alice)
    assert keys(bucket) == []


@pytest.mark.usefixtures("_stored_there")
def test_orphans_are_found_there_too(alice: User, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "UPLOAD_TIME", timedelta(0))
    profile = set_avatar(alice, ContentFile(phone_jpeg()))
    services.store_avatar({64: b"orphan"})
    assert len(keys(bucket)) == 5
    call_command("purge_avatars")
    assert {key.split("/")[1] for key in keys(bucket)} == {profile.avatar}


def test_by_environment_variables(start_server: Callable[..., Server], endpoint: str, bucket: Any, alice: User) -> None:
    site = start_server(S3_BUCKET=bucket.name, S3_ENDPOINT_URL=endpoint, **KEYS)
    alice.set_password(PASSWORD)
    with httpx.Client(base_url=site.url) as client:
        page = client.get("/accounts/login/")
        assert f"img-src 'self' data: {endpoint};" in page.headers["content-security-policy"]
