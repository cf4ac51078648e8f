from allauth.account.models import EmailAddress

from apps.users.models import User
from tests.conftest import ApiFor

ME = "{ me { id email emailVerified isStaff dateJoined profile { id displayName bio avatar { url } } } }"


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    me = (await client.data(ME))["me"]
    assert me["email"] == "alice@example.com"
    assert me["emailVerified"] is True
    assert me["isStaff"] is False
    assert me["profile"] == {"id": me["profile"]["id"], "displayName": "Alice", "bio": "", "avatar": None}


async def test_a_visitor_is_nobody(api: ApiFor, transactional_db: None) -> None:
    assert await (await api()).data(ME) == {"me": None}


async def test_each_sees_their_own_account(api: ApiFor, alice: User, bob: User) -> None:
    assert (await (await api(bob)).data(ME))["me"]["email"] == "bob@example.com"
    assert (await (await api(alice)).data(ME))["me"]["email"] == "alice@example.com"


async def test_an_address_that_is_not_verified(api: ApiFor, alice: User) -> None:
    await EmailAddress.objects.filter(user=alice).aupdate(verified=False)
    assert (await (await api(alice)).data(ME))["me"]["emailVerified"] is False


async def test_only_the_primary_address_counts(api: ApiFor, alice: User) -> None:
    await EmailAddress.objects.filter(user=alice).aupdate(verified=False)
    await EmailAddress.objects.acreate(user=alice, email="second@example.com", primary=False, verified=True)
    assert (await (await api(alice)).data(ME))["me"]["emailVerified"] is False


async def test_somebody_else_s_verified_address_does_not_count(api: ApiFor, alice: User, bob: User) -> None:
    await EmailAddress.objects.filter(user=alice).adelete()
    assert (await (await api(alice)).data(ME))["me"]["emailVerified"] is False


async def test_staff_are_told_so(api: ApiFor, alice: User) -> None:
    await User.objects.filter(pk=alice.pk).aupdate(is_staff=True)
    assert (await (await api(alice)).data(ME))["me"]["isStaff"] is True


async def test_a_deactivated_user_is_nobody(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await User.objects.filter(pk=alice.pk).aupdate(is_active=False)
    assert await client.data(ME) == {"me": None}


async def test_a_forged_session_is_nobody_s(api: ApiFor, alice: User) -> None:
    client = await api()
    client.cookies["sessionid"] = "0" * 32
    assert await client.data(ME) == {"me": None}
