"""JSON web tokens (RFC 7519) as etcd makes and reads them: `etcd_auth_token = "jwt,sign-method=...,..."`.

    HS256, HS384, HS512                    one secret for both; nothing else is needed
    RS256 ..., PS256 ..., ES256 ..., EdDSA   a key pair in PEM files; needs the extra `security`

A token carries `username`, `revision` (of the rules of access, when its owner was recognized) and `exp`.
Whoever has the private key can make one, so users may be recognized elsewhere; a node that has only the
public key reads tokens and makes none.  The method is the one configured, whatever a token says of itself:
else somebody could take a public key for a secret, and sign with it.
"""
from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from agreed.errors import ConfigurationError
from agreed.types import Stamp

TTL_S: Final = 300
REMEMBERED_MOST: Final = 10_000
"""Tokens that were found good: to check a signature takes as long as a request."""

_HASHES: Final = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
_METHODS: Final = re.compile(r"(HS|RS|PS|ES)(256|384|512)|EdDSA")


class Claims(msgspec.Struct, omit_defaults=True):
    """`revision` must fit into the log.  `nbf`: not before; who signs elsewhere may say so."""

    username: str
    revision: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    exp: float | None = None
    nbf: float | None = None

    def good_at(self, wall_ms: Stamp) -> bool:
        begun = self.nbf is None or wall_ms >= self.nbf * 1000
        return begun and (self.exp is None or wall_ms < self.exp * 1000)


class _Header(msgspec.Struct):
    alg: str
    typ: str = "JWT"


class JsonWebTokens:
    def __init__(
        self,
        method: str,
        sign: Callable[[bytes], bytes] | None,
        verify: Callable[[bytes, bytes], bool],
        ttl_s: int,
    ) -> None:
        self._method = method
        self._sign = sign
        self._verify = verify
        self._ttl_s = ttl_s
        self._good: dict[str, Claims] = {}

    def sign(self, user: str, auth_revision: int, wall_ms: Stamp) -> str | None:
        """None where only the public key is known."""
        if self._sign is None:
            return None
        claims = Claims(user, auth_revision, wall_ms // 1000 + self._ttl_s)
        text = f"{_written(_Header(self._method))}.{_written(claims)}"
        return f"{text}.{_base64(self._sign(text.encode()))}"

    def verify(self, token: str, wall_ms: Stamp) -> tuple[str, int] | None:
        """User and revision; None for what nobody has signed, or too long ago."""
        claims = self._good.get(token) or self._read(token)
        if claims is None or not claims.good_at(wall_ms):
            return None
        self._good[token] = claims
        if len(self._good) > REMEMBERED_MOST:
            del self._good[next(iter(self._good))]
        return claims.username, claims.revision

    def _read(self, token: str) -> Claims | None:
        try:
            header, body, signature = token.split(".")
            told = msgspec.json.decode(_bytes(header), type=_Header)
            if told.alg != self._method or not self._verify(f"{header}.{body}".encode(), _bytes(signature)):
                return None
            return msgspec.json.decode(_bytes(body), type=Claims)
        except (ValueError, binascii.Error, msgspec.MsgspecError):
            return None


def _written(part: msgspec.Struct) -> str:
    return _base64(msgspec.json.encode(part))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# --- how it is configured -------------------------------------------------------------------------------


def signer(text: str) -> JsonWebTokens | None:
    """`simple`: None.  Raises `ConfigurationError`."""
    kind, *options = text.split(",")
    if kind == "simple":
        return None
    if kind != "jwt":
        raise ConfigurationError(f"etcd_auth_token: {kind!r} is neither simple nor jwt")
    told = dict(option.partition("=")[::2] for option in options)
    unknown = told.keys() - {"pub-key", "priv-key", "sign-method", "ttl"}
    if unknown:
        raise ConfigurationError(f"etcd_auth_token: {', '.join(sorted(unknown))} is no option of jwt")
    method = told.get("sign-method", "")
    if not _METHODS.fullmatch(method):
        raise ConfigurationError(
            f"etcd_auth_token: sign-method {method!r} is none of HS256, RS256, ES256, EdDSA"
        )
    private, public = _file(told.get("priv-key")), _file(told.get("pub-key"))
    ttl_s = _seconds(told.get("ttl", f"{TTL_S}s"))
    if method.startswith("HS"):
        return _with_secret(method, private or public, ttl_s)
    return _with_keys(method, private, public, ttl_s)


def _file(name: str | None) -> bytes | None:
    try:
        return None if name is None else Path(name).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"etcd_auth_token: {error}") from error


def _seconds(text: str) -> int:
    number = re.fullmatch(r"(\d{1,9})(s|m|h)", text)
    if number is None or not int(number[1]):
        raise ConfigurationError(f"etcd_auth_token: ttl {text!r} is not of the form 300s, 5m or 1h")
    return int(number[1]) * {"s": 1, "m": 60, "h": 3600}[number[2]]


def _with_secret(method: str, secret: bytes | None, ttl_s: int) -> JsonWebTokens:
    if not secret:
        raise ConfigurationError("etcd_auth_token: priv-key names the file with the secret")
    key, hashing = secret, _HASHES[method[2:]]

    def sign(data: bytes) -> bytes:
        return hmac.new(key, data, hashing).digest()

    return JsonWebTokens(method, sign, lambda data, said: hmac.compare_digest(sign(data), said), ttl_s)


def _with_keys(method: str, private: bytes | None, public: bytes | None, ttl_s: int) -> JsonWebTokens:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise ConfigurationError(
            f"etcd_auth_token: {method} needs the extra: pip install agreed[security]"
        ) from error
    if private is None and public is None:
        raise ConfigurationError("etcd_auth_token: pub-key or priv-key names a PEM file")
    try:
        own: Any = serialization.load_pem_private_key(private, None) if private else None
        theirs: Any = own.public_key() if public is None else serialization.load_pem_public_key(public)
        scheme = _Scheme(method, theirs)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"etcd_auth_token: a key cannot be read for {method}: {error}") from error

    def verify(data: bytes, said: bytes) -> bool:
        try:
            scheme.verify(theirs, data, said)
        except (InvalidSignature, ValueError):
            return False
        return True

    return JsonWebTokens(method, None if own is None else lambda data: scheme.sign(own, data), verify, ttl_s)


class _Scheme:
    """RFC 7518, section 3: what a method is in terms of `cryptography`."""

    def __init__(self, method: str, public: Any) -> None:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

        kinds: dict[str, type] = {
            "RS": rsa.RSAPublicKey, "PS": rsa.RSAPublicKey, "ES": ec.EllipticCurvePublicKey,
            "Ed": ed25519.Ed25519PublicKey,
        }  # fmt: skip
        if not issubclass(type(public), kinds[method[:2]]):
            raise ValueError("it is of another kind")
        self._arguments: tuple[Any, ...] = ()
        self._half = 0
        if method == "EdDSA":
            return
        made: Any = getattr(hashes, f"SHA{method[2:]}")()
        if method.startswith("RS"):
            self._arguments = (padding.PKCS1v15(), made)
        elif method.startswith("PS"):
            self._arguments = (padding.PSS(padding.MGF1(made), padding.PSS.DIGEST_LENGTH), made)
        else:
            self._arguments = (ec.ECDSA(made),)
            self._half = -(-public.curve.key_size // 8)

    def sign(self, private: Any, data: bytes) -> bytes:
        signature: bytes = private.sign(data, *self._arguments)
        if not self._half:
            return signature
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        return b"".join(number.to_bytes(self._half, "big") for number in decode_dss_signature(signature))

    def verify(self, public: Any, data: bytes, said: bytes) -> None:
        """Raises where it is not right."""
        if self._half:
            from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

            if len(said) != 2 * self._half:
                raise ValueError("an ECDSA signature of another length")
            first, second = said[: self._half], said[self._half :]
            said = encode_dss_signature(int.from_bytes(first, "big"), int.from_bytes(second, "big"))
        public.verify(said, data, *self._arguments)
