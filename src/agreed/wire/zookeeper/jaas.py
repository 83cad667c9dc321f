"""The file in which ZooKeeper keeps the users of SASL: a JAAS login configuration.

    Server {
        org.apache.zookeeper.server.auth.DigestLoginModule required
        user_super="super_secret"
        user_alice="her password";
    };

A file has named sections, a section has login modules, a module has a flag and options.  Users of
DIGEST-MD5 are the options `user_<name>` of a `DigestLoginModule` in the section `Server`.  Other sections and
modules (Kerberos, the client's own) are read and left alone: the same file often serves several programs.

Written after the grammar in the documentation of `javax.security.auth.login.Configuration`.  Passwords are
in clear in this file, so nothing of its contents is ever repeated in an error but a line number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from agreed.errors import ConfigurationError

_TOKEN = re.compile(
    r"""
      (?P<blank>     \s+ | //[^\n]* | \#[^\n]* | /\*.*?\*/ )
    | (?P<quoted>    "(?:[^"\\\n]|\\.)*" )
    | (?P<mark>      [{};=] )
    | (?P<word>      [^\s{};="]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_FLAGS: Final = frozenset({"required", "requisite", "sufficient", "optional"})
_DIGEST_MODULE: Final = "DigestLoginModule"
_USER: Final = "user_"


class LoginModule(msgspec.Struct, frozen=True):
    """One way to log in: the name of a Java class and its options."""

    class_name: str
    flag: str
    options: dict[str, str]


class _Tokens:
    """The words of the file one after the other; an error tells the line."""

    def __init__(self, text: str) -> None:
        self._tokens = self._split(text)
        self._line = 1
        self.kind, self.word = "", ""
        self.advance()

    @staticmethod
    def _split(text: str) -> Iterator[tuple[int, str, str]]:
        position = 0
        line = 1
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ConfigurationError(f"jaas: line {line} cannot be read (an open quote or comment?)")
            kind, word = str(match.lastgroup), match[0]
            if kind == "quoted":
                word = re.sub(r"\\(.)", r"\1", word[1:-1])
            if kind != "blank":
                yield line, kind, word
            line += match[0].count("\n")
            position = match.end()
        yield line, "end", ""

    def advance(self) -> None:
        self._line, self.kind, self.word = next(self._tokens)

    def is_mark(self, mark: str) -> bool:
        return self.kind == "mark" and self.word == mark

    def take(self, what: str, *kinds: str) -> str:
        """The present word, which must be of one of these kinds; moves on."""
        if self.kind not in kinds:
            raise self.error(f"there should be {what}")
        word = self.word
        self.advance()
        return word

    def take_mark(self, mark: str) -> None:
        if not self.is_mark(mark):
            raise self.error(f"there should be {mark!r}")
        self.advance()

    def error(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"jaas: line {self._line}: {what}")


def parse_jaas(text: str) -> dict[str, tuple[LoginModule, ...]]:
    """The login modules by section.  Raises `ConfigurationError`."""
    tokens = _Tokens(text)
    sections: dict[str, tuple[LoginModule, ...]] = {}
    while tokens.kind != "end":
        if tokens.word in sections:
            raise tokens.error("a section stands there twice")
        name = tokens.take("the name of a section", "word", "quoted")
        tokens.take_mark("{")
        modules = []
        while not tokens.is_mark("}"):
            modules.append(_parse_module(tokens))
        tokens.take_mark("}")
        tokens.take_mark(";")
        sections[name] = tuple(modules)
    return sections


def _parse_module(tokens: _Tokens) -> LoginModule:
    class_name = tokens.take("the class of a login module", "word")
    flag = tokens.take("required, requisite, sufficient or optional", "word").lower()
    if flag not in _FLAGS:
        raise tokens.error("there should be required, requisite, sufficient or optional")
    options: dict[str, str] = {}
    while not tokens.is_mark(";"):
        option = tokens.take("the name of an option", "word")
        tokens.take_mark("=")
        options[option] = tokens.take("the value of an option", "word", "quoted")
    tokens.take_mark(";")
    return LoginModule(class_name, flag, options)


def digest_users(text: str, section: str = "Server") -> dict[str, str]:
    """Passwords by user name, for `sasl.DigestMd5Server`; none if the file has none.

    Raises `ConfigurationError` where the file cannot be read."""
    return {
        option.removeprefix(_USER): password
        for module in parse_jaas(text).get(section, ())
        if module.class_name.rpartition(".")[2] == _DIGEST_MODULE
        for option, password in module.options.items()
        if option.startswith(_USER)
    }
