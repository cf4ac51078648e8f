import time

import pytest
from pytest_django import Settings

from apps import outgoing
from tests.outgoing.conftest import Names
from tests.outgoing.elsewhere import Elsewhere, answer, cut

OUT_OF_ORDER = answer(b"", 503)


@pytest.mark.parametrize("first", [answer(status=429), answer(status=502), OUT_OF_ORDER, answer(status=504), cut])
async def test_it_works(elsewhere: Elsewhere, first: bytes) -> None:
    url = elsewhere.on("/", first, first, answer(b"at last"))
    assert (await outgoing.get(url)).text == "at last"
    assert len(elsewhere.requests) == 3


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
async def test_three_times_at_the_most(elsewhere: Elsewhere, method: str) -> None:
    with pytest.raises(outgoing.BadStatus, match="503"):
        await outgoing.request(method, elsewhere.on("/", OUT_OF_ORDER))
    assert [request.method for request in elsewhere.requests] == [method] * 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("first", [OUT_OF_ORDER, cut])
async def test_what_must_not_arrive_twice_is_sent_once(elsewhere: Elsewhere, method: str, first: bytes) -> None:
    with pytest.raises(outgoing.CallFailed):
        await outgoing.request(method, elsewhere.on("/", first), json={"pay": 1})
    assert [request.body for request in elsewhere.requests] == [b'{"pay":1}']


async def test_what_is_sent_again_is_the_same(elsewhere: Elsewhere) -> None:
    await outgoing.request("PUT", elsewhere.on("/", OUT_OF_ORDER, cut, answer()), json={"a": 1})
    assert [request.body for request in elsewhere.requests] == [b'{"a":1}'] * 3


@pytest.mark.parametrize("status", [400, 401, 404, 500, 501])
async def test_what_will_not_pass_is_not_tried_again(elsewhere: Elsewhere, status: int) -> None:
    with pytest.raises(outgoing.BadStatus):
        await outgoing.get(elsewhere.on("/", answer(status=status)))
    assert len(elsewhere.requests) == 1


async def test_nor_is_what_was_refused(names: Names) -> None:
    names.answers["inside.example"] = [["10.0.0.1"]]
    with pytest.raises(outgoing.Refused):
        await outgoing.get("http://inside.example/")
    assert names.asked == ["inside.example"]


async def test_it_waits_as_long_as_it_is_told(elsewhere: Elsewhere) -> None:
    url = elsewhere.on("/", answer(status=503, Retry_After=1), answer(b"at last"))
    began = time.monotonic()
    await outgoing.get(url)
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("later", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT", "9" * 400])
async def test_not_beyond_its_deadline(elsewhere: Elsewhere, later: str) -> None:
    """Then it is an error at once."""
    with pytest.raises(outgoing.BadStatus):
        await outgoing.get(elsewhere.on("/", answer(status=503, Retry_After=later)))
    assert len(elsewhere.requests) == 1


@pytest.mark.parametrize("nonsense", ["", "-1", "soon", "1e9", "Fri, 31 Dec 1999 23:59:59 GMT", "²"])
async def test_nonsense_means_nothing(elsewhere: Elsewhere, nonsense: str) -> None:
    url = elsewhere.on("/", answer(status=503, Retry_After=nonsense), answer(b"at last"))
    assert (await outgoing.get(url)).text == "at last"


async def test_a_name_that_is_found_the_second_time(elsewhere: Elsewhere, names: Names) -> None:
    def fail() -> list[str]:
        raise OSError("Temporary failure in name resolution")

    elsewhere.on("/", answer(b"at last"))
    names.answers["flaky.example"] = [fail, ["127.0.0.1"]]
    assert (await outgoing.get(f"http://flaky.example:{elsewhere.port}/")).text == "at last"


async def test_an_address_that_does_not_answer_is_not_the_last(
    elsewhere: Elsewhere, names: Names, settings: Settings
) -> None:
    elsewhere.on("/", answer(b"the other"))
    names.answers["two.example"] = [["127.0.0.2", "127.0.0.1"]]  # at the first, nobody listens
    settings.OUTGOING_TRUSTED.append("127.0.0.2")
    response = await outgoing.post(f"http://two.example:{elsewhere.port}/")
    assert response.text == "the other"
