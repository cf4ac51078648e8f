"""Connected to by address, a server still has to be whom the name says."""

import datetime
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from apps import outgoing
from tests.outgoing.conftest import Names
from tests.outgoing.elsewhere import Elsewhere, answer


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Signed by itself, for `shop.example`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(encoding))
    return path


@pytest.fixture
async def shop(
    certificate: Path, untrusted: Callable[..., Awaitable[Elsewhere]], names: Names, settings: Settings
) -> Elsewhere:
    settings.OUTGOING_TRUSTED = ["127.0.0.1"]
    names.answers = {"shop.example": [["127.0.0.1"]], "bank.example": [["127.0.0.1"]]}
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    server = await untrusted(tls=tls)
    server.on("/", answer(b"welcome"))
    return server


@pytest.fixture
def _certified(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    monkeypatch.setattr(outgoing, "_tls", lambda: ssl.create_default_context(cafile=certificate))


@pytest.mark.usefixtures("_certified")
async def test_it_works(shop: Elsewhere) -> None:
    assert (await outgoing.get(f"https://shop.example:{shop.port}/")).text == "welcome"


@pytest.mark.usefixtures("_certified")
@pytest.mark.parametrize("host", ["bank.example", "127.0.0.1"])
async def test_another_s_name(shop: Elsewhere, host: str) -> None:
    with pytest.raises(outgoing.Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        await outgoing.get(f"https://{host}:{shop.port}/")
    assert shop.requests == []


async def test_nobody_s_certificate(shop: Elsewhere) -> None:
    with pytest.raises(outgoing.Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        await outgoing.get(f"https://shop.example:{shop.port}/")
    assert shop.requests == []
