"""DIGEST-MD5: our server against our client, against pure-sasl, and against what a real server has said."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from puresasl.client import SASLClient

from agreed.errors import MalformedInput
from agreed.wire.zookeeper.sasl import (
    Authenticated,
    Challenge,
    DigestMd5Client,
    DigestMd5Server,
    Refused,
    parse_directives,
)

USERS = {"super": "super_secret", "jaasuser": "jaas_password", "jürgen": "schön", 'quo"ted': "x"}
NONCE = "RPP34VHad5VzOzRyE4Rcr4/2asYWvXgX3pqDQ/zt"
RECORDED = (
    b'qop=auth,realm="zk-sasl-md5",username="jaasuser",nonce="RPP34VHad5VzOzRyE4Rcr4/2asYWvXgX3pqDQ/zt",'
    b'cnonce="5239037872009918",nc=00000001,digest-uri="zookeeper/zk-sasl-md5",'
    b"response=36a4659f4f0361566837c3d043642e5e"
)
"""What pure-sasl answered to a ZooKeeper 3.9.3, which accepted it."""


def challenged(nonce: str = NONCE) -> DigestMd5Server:
    server = DigestMd5Server(nonce, USERS)
    assert isinstance(server.receive(b""), Challenge)
    return server


def test_the_challenge_is_that_of_a_real_server():
    expected = (
        b'realm="zk-sasl-md5",nonce="RPP34VHad5VzOzRyE4Rcr4/2asYWvXgX3pqDQ/zt",'
        b"charset=utf-8,algorithm=md5-sess"
    )
    assert DigestMd5Server(NONCE, USERS).receive(b"") == Challenge(expected)


def test_a_recorded_exchange_ends_with_the_proof_that_the_real_server_gave():
    outcome = challenged().receive(RECORDED)
    assert outcome == Authenticated(b"rspauth=0215fe8beb313034eae17f1a2b65a2c3", "jaasuser")


def test_the_recorded_answer_with_the_wrong_password_is_refused():
    bad = RECORDED.replace(b"36a4659f4f0361566837c3d043642e5e", b"e11eb24aca4ef7777a11949e832f7406")
    assert isinstance(challenged().receive(bad), Refused)


@pytest.mark.parametrize("user", ["super", "jaasuser", "jürgen"])
def test_pure_sasl_gets_in_and_believes_us(user):
    server = DigestMd5Server(NONCE, USERS)
    client = SASLClient(
        host="zk-sasl-md5",
        service="zookeeper",
        mechanism="DIGEST-MD5",
        username=user,
        password=USERS[user],
    )
    challenge = server.receive(b"")
    assert isinstance(challenge, Challenge)
    outcome = server.receive(client.process(challenge.token))
    assert isinstance(outcome, Authenticated)
    assert outcome.user == user
    assert client.process(outcome.token) is None
    assert client.complete


def test_pure_sasl_with_a_wrong_password_does_not_get_in():
    client = SASLClient("zk-sasl-md5", "zookeeper", "DIGEST-MD5", username="super", password="guess")
    server = DigestMd5Server(NONCE, USERS)
    assert isinstance(server.receive(client.process(server.receive(b"").token)), Refused)


@given(
    st.text(st.characters(codec="utf-8"), max_size=10),
    st.text(st.characters(codec="utf-8"), max_size=10),
    st.booleans(),
)
def test_our_ends_agree_for_the_right_password_and_for_no_other(user, password, right):
    server = DigestMd5Server("n1", {user: password if right else password + "x"})
    client = DigestMd5Client(user, password, "c1")
    challenge = server.receive(b"")
    answer = client.receive(challenge.token)
    outcome = server.receive(answer)
    if right:
        assert isinstance(outcome, Authenticated)
        assert outcome.user == user
        assert client.receive(outcome.token) is None
    else:
        assert isinstance(outcome, Refused)


def test_java_hashes_letters_of_western_europe_in_one_byte_each():
    """RFC 2831 §2.1.2.1 asks for ISO 8859-1 where it suffices; this client does what the RFC asks."""
    client = DigestMd5Client("jürgen", "schön", "c1")
    client._user, client._password = "jürgen".encode("latin-1"), "schön".encode("latin-1")
    server = challenged()
    answer = client.receive(b'nonce="' + NONCE.encode() + b'",realm="zk-sasl-md5",algorithm=md5-sess')
    answer = answer.replace("jürgen".encode("latin-1"), "jürgen".encode())
    assert isinstance(server.receive(answer), Authenticated)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"RPP34", b"RPP35"),
        (b"nc=00000001", b"nc=00000002"),
        (b'realm="zk-sasl-md5"', b'realm="other"'),
        (b"qop=auth", b"qop=auth-conf"),
        (b"zookeeper/zk-sasl-md5", b"ldap/zk-sasl-md5"),
        (b'username="jaasuser"', b'username="nobody"'),
        (b'username="jaasuser",', b""),
        (b'cnonce="5239037872009918",', b""),
        (b'username="jaasuser"', b'username="\xff"'),
        (b"nc=00000001", b'nc=00000001,authzid="super"'),
        (b"qop=auth,", b"qop=auth,qop=auth,"),
        (b"qop=auth,", b"qop,"),
        (b"response=36", b"response=37"),
        (RECORDED, b""),
        (RECORDED, b"x" * 5000),
    ],
)
def test_a_response_that_was_changed_is_refused(old, new):
    changed = RECORDED.replace(old, new)
    assert changed != RECORDED
    assert isinstance(challenged().receive(changed), Refused)


def signed(
    realm: str = "zk-sasl-md5", uri: str = "zookeeper/zk-sasl-md5", authzid: str | None = None
) -> bytes:
    """The right password for whatever is said: only what is said may be refused."""

    def md5(*parts: str | bytes) -> bytes:
        return hashlib.md5(b":".join(p.encode() if isinstance(p, str) else p for p in parts)).digest()

    cnonce = "5239037872009918"
    secret = md5("jaasuser", realm, "jaas_password")
    a1 = md5(secret, NONCE, cnonce, *([] if authzid is None else [authzid])).hex()
    response = md5(a1, NONCE, "00000001", cnonce, "auth", md5("AUTHENTICATE", uri).hex()).hex()
    said = f'username="jaasuser",realm="{realm}",nonce="{NONCE}",cnonce="{cnonce}",nc=00000001,qop=auth'
    said += f',digest-uri="{uri}",response={response}'
    return (said if authzid is None else said + f',authzid="{authzid}"').encode()


def test_a_java_client_says_for_whom_it_acts_and_it_may_only_be_itself():
    """ZooKeeper's client in Java passes the name of its user to the JDK, which then says and signs it."""
    outcome = challenged().receive(signed(authzid="jaasuser"))
    assert isinstance(outcome, Authenticated)
    assert outcome.user == "jaasuser"
    assert isinstance(challenged().receive(signed(authzid="super")), Refused)


def test_the_right_password_for_another_realm_or_service_is_refused():
    assert isinstance(challenged().receive(signed()), Authenticated)
    assert isinstance(challenged().receive(signed(realm="other")), Refused)
    assert isinstance(challenged().receive(signed(uri="ldap/zk-sasl-md5")), Refused)
    assert isinstance(challenged().receive(signed(uri="zookeeper/elsewhere")), Refused)


def test_for_whom_a_client_acts_is_a_part_of_what_it_signs():
    assert isinstance(challenged().receive(RECORDED + b',authzid="jaasuser"'), Refused)


def test_an_unknown_user_with_an_empty_password_is_still_unknown():
    client = DigestMd5Client("nobody", "", "c1")
    server = DigestMd5Server(NONCE, USERS)
    assert isinstance(server.receive(client.receive(server.receive(b"").token)), Refused)


def test_an_exchange_cannot_be_played_back_nor_begun_in_the_middle():
    assert isinstance(challenged("fresh").receive(RECORDED), Refused)
    assert isinstance(DigestMd5Server(NONCE, USERS).receive(RECORDED), Refused)
    server = challenged()
    assert isinstance(server.receive(RECORDED), Authenticated)
    assert isinstance(server.receive(RECORDED), Refused)


@given(st.binary(max_size=200))
def test_any_token_has_an_outcome(token):
    assert isinstance(challenged().receive(token), Refused)


@pytest.mark.parametrize(
    "token",
    [b"realm=x", b"nonce=x,algorithm=md5", b'nonce=x,algorithm=md5-sess,qop="auth-conf"', b"=", b'a="'],
)
def test_a_client_refuses_a_challenge_that_it_cannot_answer(token):
    with pytest.raises(MalformedInput):
        DigestMd5Client("u", "p", "c").receive(token)


@pytest.mark.parametrize("proof", [b"rspauth=00", b"realm=x", b""])
def test_a_client_refuses_a_server_that_does_not_know_the_password(proof):
    client = DigestMd5Client("jaasuser", "jaas_password", "c")
    client.receive(b"nonce=x,algorithm=md5-sess")
    with pytest.raises(MalformedInput):
        client.receive(proof)


def test_directives():
    assert parse_directives(b'a=1, B = "x,\\"y\\\\" ,c=') == {"a": b"1", "b": b'x,"y\\', "c": b""}
