"""What a stranger's address can't make this site do."""

from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import pytest
from pytest_django import Settings

from apps import outgoing
from apps.public_network import is_public
from tests.outgoing.conftest import Names
from tests.outgoing.elsewhere import Elsewhere, answer, redirect

type Start = Callable[..., Awaitable[Elsewhere]]

PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",  # Alibaba's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's
    "169.254.169.254",  # everybody else's
    "172.16.0.1",
    "192.0.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4 of 127.0.0.1
    "2002:808:808::1",
    "fc00::1",
    "fd00:ec2::254",  # Amazon's metadata
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "64:ff9b::8.8.8.8"])
def test_it_works(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
async def test_what_is_not_public(address: str, names: Names, connected: list[str]) -> None:
    assert not is_public(ip_address(address))
    names.answers["innocent.example"] = [[address]]
    for host in (f"[{address}]" if ":" in address else address, "innocent.example"):
        with pytest.raises(outgoing.Refused):
            await outgoing.get(f"http://{host}/")
    assert connected == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.0.0.1",
        "0",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "127.0.0.1.",
        "localhost.",
        "public.example@127.0.0.1",
        "127.0.0.1\\@public.example",
        "127.0.0.1#@public.example",
    ],
)
async def test_this_machine_however_it_is_written(host: str, untrusted: Start, connected: list[str]) -> None:
    server = await untrusted()
    server.on("/", answer(b"secret"))
    with pytest.raises(outgoing.CallFailed) as raised:
        await outgoing.get(f"http://{host}:{server.port}/")
    assert isinstance(raised.value, outgoing.Refused | outgoing.Unreachable)
    assert connected == []
    assert server.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/path",
        "//127.0.0.1/",
        "http://",
        "http:///path",
        "http://[::1",
        "http://public.example:99999/",
        "http://127.0.0.2:99999/",
        "http://public.example:-1/",
        "http://\x00/",
        "http://" + "a" * 64 + ".example/",
        "file:///etc/passwd",
        "ftp://public.example/",
        "gopher://public.example/_x",
        "data:text/plain,x",
        "javascript:alert(1)",
        "unix:/var/run/docker.sock",
        "ws://public.example/",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
        "http://alice:secret@public.example/",
        "http://alice@public.example/",
        "http://public.example:22/",
        "https://public.example:25/",
        "http://public.example:8000/",
    ],
)
async def test_what_is_no_address_of_the_web(url: str, names: Names, settings: Settings, connected: list[str]) -> None:
    settings.OUTGOING_TRUSTED = ["127.0.0.2"]
    names.answers["public.example"] = [["8.8.8.8"]]
    with pytest.raises(outgoing.CallFailed) as raised:
        await outgoing.get(url)
    assert isinstance(raised.value, outgoing.Refused | outgoing.Unreachable)
    assert connected == []
    assert "secret" not in str(raised.value)


async def test_one_such_address_among_others(names: Names, connected: list[str]) -> None:
    names.answers["innocent.example"] = [["8.8.8.8", "127.0.0.1"]]
    with pytest.raises(outgoing.Refused):
        await outgoing.get("http://innocent.example/")
    assert connected == []


async def test_a_name_that_is_public(names: Names, connected: list[str]) -> None:
    """As far as a test can go: it would have been connected to."""
    names.answers["public.example"] = [["8.8.8.8", "2606:4700::1111"]]
    with pytest.raises(outgoing.Unreachable):
        await outgoing.post("https://public.example/")
    assert connected == ["8.8.8.8", "2606:4700::1111"]


async def test_the_address_that_was_checked_is_the_one(
    untrusted: Start, names: Names, settings: Settings, connected: list[str]
) -> None:
    """DNS rebinding: the name is of a harmless address when it is checked, and of another the next time."""
    settings.OUTGOING_TRUSTED = ["127.0.0.2"]
    harmless = await untrusted("127.0.0.2")
    inside = await untrusted()
    harmless.on("/", answer(b"harmless"))
    inside.on("/", answer(b"secret"))
    names.answers["rebinding.example"] = [["127.0.0.2"], ["127.0.0.1"]]
    response = await outgoing.get(f"http://rebinding.example:{harmless.port}/")
    assert response.text == "harmless"
    assert harmless.requests[0].headers["host"] == f"rebinding.example:{harmless.port}"
    assert names.asked == ["rebinding.example"]
    assert connected == ["127.0.0.2"]
    with pytest.raises(outgoing.Refused):
        await outgoing.get(f"http://rebinding.example:{inside.port}/")
    assert inside.connections == 0


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/",
        "//127.0.0.2:{port}/",
        "http://127.2:{port}/",
        "http://[::ffff:127.0.0.2]:{port}/",
        "http://inside.example:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://alice:secret@127.0.0.1:{own_port}/",
        "http://public.example:22/",
        "http://[",
        "\\\\127.0.0.2:{port}\\",
    ],
)
async def test_a_redirect_leads_nowhere_else(
    elsewhere: Elsewhere, untrusted: Start, names: Names, connected: list[str], location: str
) -> None:
    inside = await untrusted("127.0.0.2")
    inside.on("/", answer(b"secret"))
    elsewhere.on("/", answer(b"with a password"))
    names.answers |= {"inside.example": [["127.0.0.2"]], "public.example": [["8.8.8.8"]]}
    target = location.format(port=inside.port, own_port=elsewhere.port)
    for status in (301, 302, 303, 307, 308):
        with pytest.raises(outgoing.CallFailed):
            await outgoing.get(elsewhere.on("/away", redirect(target, status)))
    assert set(connected) == {"127.0.0.1"}
    assert "/" not in [request.path for request in elsewhere.requests]
    assert inside.connections == 0


@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8", "127.0.0.1/8", "intranet.example", "INTRANET.example"])
async def test_what_is_trusted_may_be_called(untrusted: Start, names: Names, settings: Settings, trusted: str) -> None:
    settings.OUTGOING_TRUSTED = ["10.0.0.0/8", trusted]
    names.answers["intranet.example"] = [["127.0.0.1"]]
    server = await untrusted()
    server.on("/", answer(b"inside"))
    assert (await outgoing.get(f"http://intranet.example:{server.port}/")).text == "inside"


async def test_and_nothing_beside_it(untrusted: Start, names: Names, settings: Settings) -> None:
    settings.OUTGOING_TRUSTED = ["intranet.example", "127.0.0.2"]
    names.answers["other.intranet.example"] = [["127.0.0.1"]]
    server = await untrusted()
    for host in ("127.0.0.1", "other.intranet.example"):
        with pytest.raises(outgoing.Refused):
            await outgoing.get(f"http://{host}:{server.port}/")
    assert server.connections == 0
