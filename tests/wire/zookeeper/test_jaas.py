"""The users of SASL, from the file where ZooKeeper keeps them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.errors import ConfigurationError
from agreed.wire.zookeeper.jaas import LoginModule, digest_users, parse_jaas

KAZOO = """
Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    user_super="super_secret"
    user_jaasuser="jaas_password";
};"""
"""What the test harness of kazoo 2.11 writes."""

KERBEROS = """
Server {
  com.sun.security.auth.module.Krb5LoginModule required
  debug=true
  useKeyTab=true
  keyTab="/etc/server.keytab"
  principal="zookeeper/127.0.0.1@KAZOOTEST.ORG";
};"""

MANY = """
// the server's part
Server {
    /* two modules,
       both asked */
    com.sun.security.auth.module.Krb5LoginModule optional useKeyTab=true user_c="not ours";
    org.apache.zookeeper.server.auth.DigestLoginModule REQUIRED
        user_a="with \\"quotes\\" and ; and { and // no comment"
        user_b=plain;   # another kind of comment
};
Client {
    org.apache.zookeeper.server.auth.DigestLoginModule required
        username="a" password="b";
};
"""


def test_the_file_of_kazoos_harness():
    assert digest_users(KAZOO) == {"super": "super_secret", "jaasuser": "jaas_password"}


def test_a_file_for_kerberos_has_no_users_but_can_be_read():
    assert digest_users(KERBEROS) == {}
    [module] = parse_jaas(KERBEROS)["Server"]
    assert module.options["principal"] == "zookeeper/127.0.0.1@KAZOOTEST.ORG"


def test_several_sections_and_modules_with_comments():
    assert digest_users(MANY) == {"a": 'with "quotes" and ; and { and // no comment', "b": "plain"}
    assert digest_users(MANY, "Client") == {}
    sections = parse_jaas(MANY)
    assert [module.flag for module in sections["Server"]] == ["optional", "required"]
    assert sections["Client"] == (
        LoginModule(
            "org.apache.zookeeper.server.auth.DigestLoginModule",
            "required",
            {"username": "a", "password": "b"},
        ),
    )


@pytest.mark.parametrize("text", ["", " \n// nothing\n", "Server { };", "Other {};"])
def test_a_file_without_users(text):
    assert digest_users(text) == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Server {", 1),
        ("Server { a.B required x=1; }", 1),
        ("Server { a.B required x=1 };", 1),
        ("Server { a.B sometimes x=1; };", 1),
        ("Server {\n a.B required\n x=;\n};", 3),
        ('Server {\n a.B required\n x="open;\n};', 3),
        ("Server { a.B required; }; /* open", 1),
        ("\n\n};", 3),
        ("Server {};\nServer {};\n", 2),
        ("Server { a.B; };", 1),
        ("=", 1),
    ],
)
def test_an_error_tells_the_line_and_no_password(text, line):
    with pytest.raises(ConfigurationError, match=f"line {line}") as error:
        parse_jaas(text)
    assert "open;" not in str(error.value)


@given(st.text(st.sampled_from('ab_={};"\\ \n/*#')))
def test_any_text_is_read_or_refused(text):
    try:
        parse_jaas(text)
    except ConfigurationError:
        pass
