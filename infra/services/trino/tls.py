"""The instance's own certificate authority and the server certificate that Trino shows."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.credentials import write_private
from infra.services.base import Context
from infra.settings import HOST

DAYS = 825
RENEW_BEFORE = dt.timedelta(days=60)


def ensure(context: Context) -> dict[str, Path]:
    """Return ``{"ca": certificate to trust, "server": key and chain}``; made when missing or soon to expire."""
    folder = context.settings.folder("secrets")
    ca, server = folder / "ca.pem", folder / "server.pem"
    if not (ca.exists() and server.exists()) or x509.load_pem_x509_certificate(ca.read_bytes()).not_valid_after_utc - _now() < RENEW_BEFORE:
        _make(ca, server)
    return {"ca": ca, "server": server}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _make(ca: Path, server: Path) -> None:
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lake instance authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])

    def builder(name: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        start = _now() - dt.timedelta(hours=1)
        return (
            x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(start + dt.timedelta(days=DAYS))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )  # fmt: skip

    usage = {
        "content_commitment": False,
        "key_encipherment": False,
        "data_encipherment": False,
        "key_agreement": False,
        "encipher_only": False,
        "decipher_only": False,
    }
    authority = (
        builder(issuer, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
    leaf = (
        builder(subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=False, crl_sign=False, **usage), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    # The authority's key is not kept: nobody can sign a second certificate that clients would trust.
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = serialization.Encoding.PEM
    write_private(server, (private + leaf.public_bytes(pem) + authority.public_bytes(pem)).decode())
    write_private(ca, authority.public_bytes(pem).decode())
