import pytest

from apps import outgoing
from tests.outgoing.elsewhere import Elsewhere, answer, redirect


async def test_it_works(elsewhere: Elsewhere) -> None:
    url = elsewhere.on("/hooks", answer(b"{}", 201))
    assert (await outgoing.post(url, json={"a": 1})).status_code == 201
    [request] = elsewhere.requests
    assert (request.method, request.body) == ("POST", b'{"a":1}')
    assert request.headers["content-type"] == "application/json"


async def test_a_form(elsewhere: Elsewhere) -> None:
    await outgoing.post(elsewhere.on("/", answer()), data={"a": "ü"})
    assert elsewhere.requests[0].body == b"a=%C3%BC"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_it_goes_where_it_was_sent_and_nowhere_else(elsewhere: Elsewhere, status: int) -> None:
    elsewhere.on("/there", answer())
    with pytest.raises(outgoing.BadStatus, match=str(status)):
        await outgoing.post(elsewhere.on("/here", redirect("/there", status)), json={"card": 1})
    assert len(elsewhere.requests) == 1
