from apps.users.models import User
from tests.accounts.mailbox import subjects
from tests.accounts.operations import CHANGE_PASSWORD, LOG_IN, ME, ask, news, refusals
from tests.conftest import PASSWORD, ApiFor

NEW = "staple correct horse"


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    answer = await ask(client, CHANGE_PASSWORD, currentPassword=PASSWORD, newPassword=NEW)
    assert answer["isAuthenticated"]
    assert await ask(client, ME)
    assert (await ask(await api(), LOG_IN, email="alice@example.com", password=NEW))["isAuthenticated"]
    assert await news(client, "accounts.password_changed") == [{}]
    assert len(subjects("alice@example.com")) == 1


async def test_it_signs_out_everywhere_else(api: ApiFor, alice: User, bob: User) -> None:
    here, there, bobs = await api(alice), await api(alice), await api(bob)
    await ask(here, CHANGE_PASSWORD, currentPassword=PASSWORD, newPassword=NEW)
    assert await ask(there, ME) is None
    assert await ask(bobs, ME)


async def test_the_wrong_one(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for wrong, code in (("not it", "invalid_credentials"), ("", "required")):
        refused = await refusals(client, CHANGE_PASSWORD, currentPassword=wrong, newPassword=NEW)
        assert refused == [("currentPassword", code)]
    assert (await ask(await api(), LOG_IN, email="alice@example.com", password=PASSWORD))["isAuthenticated"]


async def test_a_weak_one(api: ApiFor, alice: User) -> None:
    refused = await refusals(await api(alice), CHANGE_PASSWORD, currentPassword=PASSWORD, newPassword="12345678")
    assert ("newPassword", "password_too_common") in refused


async def test_a_visitor(api: ApiFor, alice: User) -> None:
    answer = await (await api()).ask(CHANGE_PASSWORD, currentPassword=PASSWORD, newPassword=NEW)
    assert answer.codes == ["UNAUTHENTICATED"]
