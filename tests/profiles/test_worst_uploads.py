"""Twenty of the most expensive pictures at once: the server goes on, and everybody gets an answer."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image

from tests.clients import session_cookies
from tests.conftest import make_user
from tests.pictures import encode
from tests.processes import Server

COUNT = 20
SET_AVATAR = """mutation ($image: Upload!) { setAvatar(input: { image: $image }) {
  __typename ... on OperationInfo { messages { code } } } }"""


def worst() -> list[bytes]:
    """24 megapixels each, in formats that have to be decoded whole."""
    image = Image.linear_gradient("L").resize((6_000, 4_000))
    colours = Image.merge("RGBA", (image, image.rotate(180), image, image))
    return [
        encode(colours, "PNG"),
        encode(colours, "AVIF", quality=30, speed=10),
        encode(colours.convert("RGB"), "JPEG", quality=30, progressive=True),
    ]


def upload(server: Server, cookies: dict[str, str], content: bytes) -> str:
    """What came of it: a type's name, or the refusal's code."""
    with httpx.Client(base_url=server.url, cookies=cookies, timeout=60) as client:
        token = client.post("/graphql/").cookies["csrftoken"]
        form = {
            "operations": json.dumps({"query": SET_AVATAR, "variables": {"image": None}}),
            "map": json.dumps({"file": ["variables.image"]}),
        }
        answer = client.post("/graphql/", data=form, files={"file": ("x", content)}, headers={"X-CSRFToken": token})
        result = answer.json()["data"]["setAvatar"]
        return str(result["messages"][0]["code"] if "messages" in result else result["__typename"])


@pytest.mark.alone
def test_it_works(start_server: Callable[..., Server]) -> None:
    server = start_server()
    pictures = worst()
    assert all(len(picture) < 5 * 1024 * 1024 for picture in pictures)
    sessions = [session_cookies(make_user(f"user{number}")) for number in range(COUNT)]
    slowest, done = 0.0, threading.Event()

    def ask_whether_it_lives() -> None:
        nonlocal slowest
        with httpx.Client(base_url=server.url, timeout=30) as client:
            while not done.is_set():
                began = time.monotonic()
                assert client.get("/health/live/").status_code == 200
                slowest = max(slowest, time.monotonic() - began)

    watcher = threading.Thread(target=ask_whether_it_lives)
    watcher.start()
    try:
        with ThreadPoolExecutor(COUNT) as pool:
            outcomes = list(pool.map(lambda job: upload(server, *job), zip(sessions, pictures * COUNT, strict=False)))
    finally:
        done.set()
        watcher.join()
    assert set(outcomes) <= {"Profile", "busy"}
    assert outcomes.count("Profile") >= 2
    assert slowest < 1
    assert httpx.get(f"{server.url}/health/ready/").json()["status"] == "ok"
