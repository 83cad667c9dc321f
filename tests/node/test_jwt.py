"""Tokens that are signed here, tokens of others, and those that nobody we trust has signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from agreed.errors import ConfigurationError
from agreed.node.jwt import JsonWebTokens, signer

NOW = 1_700_000_000_000


def key_pair(directory: Path, kind: str) -> str:
    """The options that name its files."""
    kinds: dict[str, Any] = {
        "RS": lambda: rsa.generate_private_key(65537, 2048),
        "PS": lambda: rsa.generate_private_key(65537, 2048),
        "ES": lambda: ec.generate_private_key(ec.SECP256R1()),
        "Ed": ed25519.Ed25519PrivateKey.generate,
    }
    private = kinds[kind]()
    pem = serialization.Encoding.PEM
    (directory / "key").write_bytes(
        private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (directory / "public").write_bytes(
        private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return f"pub-key={directory}/public,priv-key={directory}/key"


def made(text: str) -> JsonWebTokens:
    tokens = signer(text)
    assert tokens is not None
    return tokens


@pytest.mark.parametrize("method", ["HS256", "HS512", "RS256", "PS384", "ES256", "EdDSA"])
def test_what_is_signed_is_read_until_its_time_is_over(tmp_path: Path, method: str) -> None:
    if method.startswith("HS"):
        (tmp_path / "secret").write_bytes(b"a secret")
        files = f"priv-key={tmp_path}/secret"
    else:
        files = key_pair(tmp_path, method[:2])
    tokens = made(f"jwt,{files},sign-method={method},ttl=1m")
    token = tokens.sign("anna", 7, NOW)
    assert token is not None
    assert tokens.verify(token, NOW + 59_000) == ("anna", 7)
    assert tokens.verify(token, NOW + 60_000) is None
    header, body, signature = token.split(".")
    forged = base64.urlsafe_b64encode(json.dumps({"username": "root", "revision": 7}).encode()).decode()
    assert tokens.verify(f"{header}.{forged.rstrip('=')}.{signature}", NOW) is None
    assert tokens.verify(f"{header}.{body}.", NOW) is None
    assert tokens.verify("nonsense", NOW) is None


def test_with_the_public_key_alone_tokens_are_read_and_not_made(tmp_path: Path) -> None:
    files = key_pair(tmp_path, "ES")
    token = made(f"jwt,{files},sign-method=ES256").sign("anna", 1, NOW)
    reader = made(f"jwt,pub-key={tmp_path}/public,sign-method=ES256")
    assert token is not None
    assert reader.sign("anna", 1, NOW) is None
    assert reader.verify(token, NOW) == ("anna", 1)


def test_a_public_key_is_not_taken_for_a_secret(tmp_path: Path) -> None:
    """The token says HS256 and is signed with the public key, which everybody has."""
    files = key_pair(tmp_path, "RS")
    forged = made(f"jwt,priv-key={tmp_path}/public,sign-method=HS256").sign("root", 1, NOW)
    assert forged is not None
    assert made(f"jwt,{files},sign-method=RS256").verify(forged, NOW) is None


def signed_elsewhere(claims: str, secret: bytes = b"a secret") -> str:
    """By somebody else who has the secret, and says more than we do, or less, or nonsense."""
    parts = (b'{"alg":"HS256"}', claims.encode())
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_a_token_is_not_good_before_its_time(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"a secret")
    tokens = made(f"jwt,priv-key={tmp_path}/secret,sign-method=HS256")
    token = signed_elsewhere(f'{{"username":"anna","revision":7,"nbf":{NOW // 1000 + 60}}}')
    assert tokens.verify(token, NOW) is None
    assert tokens.verify(token, NOW + 60_000) == ("anna", 7)
    assert tokens.verify(token, NOW) is None, "also not once it was seen"


@pytest.mark.parametrize(
    "claims",
    [
        '{"username":"anna","revision":18446744073709551616}',
        '{"username":"anna","revision":-1}',
        '{"username":"anna","revision":"7"}',
        '{"username":"anna"}',
        '{"revision":7}',
        '{"username":7,"revision":7}',
        '{"username":"anna","revision":7,"exp":"never"}',
        '{"username":"\\ud800","revision":7}',
        "[]",
        "",
    ],
)
def test_what_is_signed_and_makes_no_sense_is_no_token(tmp_path: Path, claims: str) -> None:
    """A revision that no log can hold would end every node."""
    (tmp_path / "secret").write_bytes(b"a secret")
    tokens = made(f"jwt,priv-key={tmp_path}/secret,sign-method=HS256")
    assert tokens.verify(signed_elsewhere('{"username":"anna","revision":7}'), NOW) == ("anna", 7)
    assert tokens.verify(signed_elsewhere(claims), NOW) is None


@pytest.mark.parametrize("method", ["none", "None", "HS512", "RS256", ""])
def test_a_token_does_not_choose_its_method(tmp_path: Path, method: str) -> None:
    (tmp_path / "secret").write_bytes(b"a secret")
    tokens = made(f"jwt,priv-key={tmp_path}/secret,sign-method=HS256")
    _, body, signature = signed_elsewhere('{"username":"root","revision":7}').split(".")
    other = base64.urlsafe_b64encode(json.dumps({"alg": method}).encode()).rstrip(b"=").decode()
    assert tokens.verify(f"{other}.{body}.", NOW) is None
    assert tokens.verify(f"{other}.{body}.{signature}", NOW) is None
    right = hmac.new(b"a secret", f"{other}.{body}".encode(), hashlib.sha256).digest()
    assert tokens.verify(f"{other}.{body}.{base64.urlsafe_b64encode(right).decode()}", NOW) is None
    assert tokens.verify(signed_elsewhere('{"username":"root","revision":7}', b"another"), NOW) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("paper", "neither simple nor jwt"),
        ("jwt", "sign-method"),
        ("jwt,sign-method=HS1", "sign-method"),
        ("jwt,sign-method=HS256", "secret"),
        ("jwt,sign-method=RS256", "names a PEM file"),
        ("jwt,sign-method=HS256,priv-key=/nowhere", "No such file"),
        ("jwt,sign-method=HS256,colour=red", "colour is no option"),
        ("jwt,sign-method=HS256,ttl=never", "ttl"),
    ],
)
def test_what_cannot_be_meant_is_said_at_the_start(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        signer(text)


def test_a_key_of_another_kind_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="another kind"):
        signer(f"jwt,{key_pair(tmp_path, 'ES')},sign-method=RS256")


def test_simple_tokens_need_nobody_to_sign_them() -> None:
    assert signer("simple") is None
