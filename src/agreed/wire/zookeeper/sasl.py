"""SASL with DIGEST-MD5 (RFC 2831) as ZooKeeper speaks it: to prove a password without saying it.

    client                                    server
    (an empty token)                    ->
                                        <-    challenge: realm, nonce, charset, algorithm
    username, cnonce, response, ...     ->    response = H(password, nonce, cnonce, ...)?
                                        <-    rspauth = the same the other way round: the server knows it too

The tokens travel in `SaslRequest` and `SaslReply`.  Both ends are machines without dice: the nonces come in.

Why it exists here: clients of ZooKeeper have it in their configuration.  What it does not do: MD5 is broken
for other uses and weak for this one, both ends keep the password in clear, and nothing after the exchange
is protected.  TLS with client certificates is the better way.

ZooKeeper offers no quality of protection, so it is `auth`; it names the host `zk-sasl-md5` whatever its true
name is; and it knows no subsequent authentication (RFC 2831 §2.2): every exchange begins anew.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from agreed.errors import MalformedInput

REALM: Final = "zk-sasl-md5"
SERVICE: Final = "zookeeper"
HOST: Final = "zk-sasl-md5"

_DIRECTIVE = re.compile(
    rb'\s*([!#-+\-.0-9A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))\s*(?:,|$)', re.DOTALL
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_TOKEN_BYTES_MAX: Final = 4096
"""RFC 2831 §2.1.2 lets neither side say more."""


class Challenge(msgspec.Struct, frozen=True, gc=False):
    """To be sent; the exchange goes on."""

    token: bytes


class Authenticated(msgspec.Struct, frozen=True, gc=False):
    """To be sent; the client is `user`, and the credential is (`sasl`, `user`)."""

    token: bytes
    user: str


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The exchange is over: answer -115 with a null token and close.  `reason` is for the log only."""

    reason: str


def parse_directives(token: bytes) -> dict[str, bytes]:
    """`name=value, name="quoted value"` -> values by name.  `MalformedInput` also for a name twice."""
    if len(token) > _TOKEN_BYTES_MAX:
        raise MalformedInput("a SASL token is too long")
    directives: dict[str, bytes] = {}
    position = 0
    while position < len(token):
        match = _DIRECTIVE.match(token, position)
        if match is None:
            raise MalformedInput("a SASL token is not a list of directives")
        name = match[1].decode("ascii").lower()
        if name in directives:
            raise MalformedInput(f"a SASL token says {name} twice")
        directives[name] = match[3] if match[2] is None else _ESCAPED.sub(rb"\1", match[2])
        position = match.end()
    return directives


def _md5(*parts: bytes) -> bytes:
    return hashlib.md5(b":".join(parts), usedforsecurity=False).digest()


class _Exchange(msgspec.Struct, frozen=True, gc=False):
    """What both ends know in clear.  `authzid` None: it was not said, which is not the same as empty."""

    nonce: bytes
    cnonce: bytes
    uri: bytes
    authzid: bytes | None

    def response(self, secret: bytes, verb: bytes) -> bytes:
        """RFC 2831 §2.1.2.1 for md5-sess and qop=auth; `secret` is H(user:realm:password)."""
        authzid = () if self.authzid is None else (self.authzid,)
        a1 = _md5(secret, self.nonce, self.cnonce, *authzid).hex().encode()
        a2 = _md5(verb, self.uri).hex().encode()
        return _md5(a1, self.nonce, b"00000001", self.cnonce, b"auth", a2).hex().encode()


_CLIENT: Final = b"AUTHENTICATE"
_SERVER: Final = b""
"""Who speaks, in the hash (§2.1.2.1, §2.1.3)."""


def _quoted(value: bytes) -> bytes:
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", value) + b'"'


class DigestMd5Server:
    """The server's end of one exchange.  `nonce` must be fresh and hard to guess; `users` holds passwords."""

    __slots__ = ("_nonce", "_step", "_users")

    def __init__(self, nonce: str, users: Mapping[str, str]) -> None:
        self._nonce = nonce.encode("ascii")
        self._users = users
        self._step = 0

    def receive(self, token: bytes) -> Challenge | Authenticated | Refused:
        """The answer to a token of the client."""
        self._step += 1
        if self._step == 1:
            if token:
                return Refused("DIGEST-MD5 has no initial response")
            return Challenge(
                b'realm="%s",nonce="%s",charset=utf-8,algorithm=md5-sess' % (REALM.encode(), self._nonce)
            )
        if self._step == 2:
            try:
                return self._judge(parse_directives(token))
            except MalformedInput as malformed:
                return Refused(str(malformed))
        return Refused("the exchange is over")

    def _judge(self, said: dict[str, bytes]) -> Authenticated | Refused:
        missing = {"username", "nonce", "cnonce", "nc", "digest-uri", "response"} - said.keys()
        if missing:
            return Refused(f"the response lacks {', '.join(sorted(missing))}")
        name, uri = said["username"], said["digest-uri"]
        if not hmac.compare_digest(said["nonce"], self._nonce):
            return Refused("another nonce than ours: an old exchange is played back")
        if said["nc"] != b"00000001":
            return Refused("the nonce was used before")
        if said.get("realm", REALM.encode()) != REALM.encode():
            return Refused("another realm than ours")
        if said.get("qop", b"auth") != b"auth":
            return Refused("a quality of protection that was not offered")
        if uri.lower() != f"{SERVICE}/{HOST}".encode():
            return Refused("the response was made for another service")
        if said.get("authzid", name) != name:
            # Java clients say their own name here.  ZooKeeper does not look at it; we let nobody be another.
            return Refused("one user may not act for another")
        try:
            user = name.decode("utf-8" if said.get("charset", b"utf-8") == b"utf-8" else "latin-1")
        except UnicodeDecodeError:
            return Refused("the name of the user is not UTF-8")
        exchange = _Exchange(self._nonce, said["cnonce"], uri, said.get("authzid"))
        for secret in self._secrets(user, said.get("realm", b"")):
            expected = exchange.response(secret, _CLIENT)
            if hmac.compare_digest(expected, said["response"].lower()) and user in self._users:
                return Authenticated(b"rspauth=" + exchange.response(secret, _SERVER), user)
        return Refused(f"wrong name or password for {user!r}")

    def _secrets(self, user: str, realm: bytes) -> list[bytes]:
        """H(user:realm:password); there are two where the name or password has letters outside of ASCII.

        RFC 2831 wants such letters in ISO 8859-1 if they are all there, and Java does so; clients in other
        languages take UTF-8 throughout.  An unknown user costs the same work as a known one."""
        password = self._users.get(user, "")
        secrets = [_md5(user.encode(), realm, password.encode())]
        if not (user.isascii() and password.isascii()):
            try:
                secrets.append(_md5(user.encode("latin-1"), realm, password.encode("latin-1")))
            except UnicodeEncodeError:
                pass
        return secrets


class DigestMd5Client:
    """The client's end of one exchange.  It begins with an empty token; `cnonce` must be fresh."""

    __slots__ = ("_cnonce", "_expected", "_password", "_uri", "_user")

    def __init__(self, user: str, password: str, cnonce: str) -> None:
        self._user = user.encode()
        self._password = password.encode()
        self._cnonce = cnonce.encode("ascii")
        self._uri = f"{SERVICE}/{HOST}".encode()
        self._expected: bytes | None = None

    def receive(self, token: bytes) -> bytes | None:
        """The answer to a token of the server; None: done, and the server has proven that it knows us.

        Raises `MalformedInput` for a server that says nonsense or does not know the password."""
        said = parse_directives(token)
        if self._expected is not None:
            if not hmac.compare_digest(said.get("rspauth", b""), self._expected):
                raise MalformedInput("the server does not know the password")
            return None
        if "nonce" not in said or said.get("algorithm") != b"md5-sess":
            raise MalformedInput("the server's challenge has no nonce or another algorithm")
        if b"auth" not in re.split(rb"\s*,\s*", said.get("qop", b"auth")):
            raise MalformedInput("the server does not offer plain authentication")
        nonce, realm = said["nonce"], said.get("realm", b"")
        secret = _md5(self._user, realm, self._password)
        exchange = _Exchange(nonce, self._cnonce, self._uri, None)
        self._expected = exchange.response(secret, _SERVER)
        return b",".join(
            [
                b"charset=utf-8",
                b"username=" + _quoted(self._user),
                b"realm=" + _quoted(realm),
                b"nonce=" + _quoted(nonce),
                b"cnonce=" + _quoted(self._cnonce),
                b"nc=00000001",
                b"qop=auth",
                b"digest-uri=" + _quoted(self._uri),
                b"response=" + exchange.response(secret, _CLIENT),
            ]
        )
