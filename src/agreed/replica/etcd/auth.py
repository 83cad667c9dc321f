"""Users, roles and logins of etcd's clients: the service `etcdserverpb.Auth`.

What changes something is a command (`store/user_commands.py`), judged where it is applied; what only asks
waits for a barrier, since a real etcd sends these through its log as well.  Passwords never come into the
log, only their hashes, and both hashing and checking happen outside of the node (`passwords.py`).

A login is: read the newest user, check the password, then issue a token under the rules by which it was
checked.  Had the rules changed meanwhile (the password, perhaps), the token is refused, and the password
checked again.
"""
from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from agreed.replica.etcd.calls import Call
from agreed.store.commands import (
    AddRole,
    AddUser,
    ChangePassword,
    Command,
    DeleteRole,
    DeleteUser,
    DisableAuth,
    EnableAuth,
    GrantPermission,
    GrantRole,
    IssueToken,
    RevokePermission,
    RevokeRole,
)
from agreed.store.results import Refusal, Result
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    AuthDisableRequest,
    AuthEnableRequest,
    AuthenticateRequest,
    AuthenticateResponse,
    AuthRoleAddRequest,
    AuthRoleDeleteRequest,
    AuthRoleGetRequest,
    AuthRoleGetResponse,
    AuthRoleGrantPermissionRequest,
    AuthRoleListRequest,
    AuthRoleListResponse,
    AuthRoleRevokePermissionRequest,
    AuthStatusRequest,
    AuthStatusResponse,
    AuthUserAddRequest,
    AuthUserChangePasswordRequest,
    AuthUserDeleteRequest,
    AuthUserGetRequest,
    AuthUserGetResponse,
    AuthUserGrantRoleRequest,
    AuthUserListRequest,
    AuthUserListResponse,
    AuthUserRevokeRoleRequest,
    Permission,
)
from agreed.wire.etcd.translate import status_of
from agreed.wire.grpc.status import Code, Status

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
TOKEN_LETTERS: Final = 16
TRIES: Final = 5
"""Of a login while the rules change all the time."""

CANNOT_SIGN: Final = Status(Code.UNKNOWN, "auth: invalid auth options")


class AuthService:
    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._replica = front.replica

    def handlers(self) -> dict[str, Callable[[Call, Any], None]]:
        methods: dict[str, Callable[[Call, Any], None]] = {
            "AuthEnable": self.enable,
            "AuthDisable": self.disable,
            "AuthStatus": self.status,
            "Authenticate": self.authenticate,
            "UserAdd": self.user_add,
            "UserGet": self.user_get,
            "UserList": self.user_list,
            "UserDelete": self.user_delete,
            "UserChangePassword": self.user_change_password,
            "UserGrantRole": self.user_grant_role,
            "UserRevokeRole": self.user_revoke_role,
            "RoleAdd": self.role_add,
            "RoleGet": self.role_get,
            "RoleList": self.role_list,
            "RoleDelete": self.role_delete,
            "RoleGrantPermission": self.role_grant_permission,
            "RoleRevokePermission": self.role_revoke_permission,
        }
        return {f"/etcdserverpb.Auth/{name}": handler for name, handler in methods.items()}

    def _do(self, call: Call, command: Command) -> None:
        """A change, whose answer has nothing but a header."""
        front = self._front
        front.submit_for_reply(call, command, lambda _: call.method.reply(header=front.header()))

    # --- on and off ---------------------------------------------------------------------------------------

    def enable(self, call: Call, request: AuthEnableRequest) -> None:
        self._do(call, EnableAuth())

    def disable(self, call: Call, request: AuthDisableRequest) -> None:
        self._do(call, DisableAuth())

    def status(self, call: Call, request: AuthStatusRequest) -> None:
        def answer() -> None:
            users = self._replica.store.users
            call.reply(AuthStatusResponse(self._front.header(), users.enabled, users.revision))

        self._front.read(call, answer)

    # --- logins -------------------------------------------------------------------------------------------

    def authenticate(self, call: Call, request: AuthenticateRequest) -> None:
        self._front.after_barrier(call, lambda: self._check(call, request, TRIES))

    def _check(self, call: Call, request: AuthenticateRequest, tries: int) -> None:
        users = self._replica.store.users
        if not users.enabled:
            call.fail(errors.AUTH_NOT_ENABLED)
            return
        user = users.users.get(request.name)
        if user is None:
            call.fail(errors.AUTH_FAILED)
        elif user.password_hash is None:
            call.fail(errors.AUTH_NO_PASSWORD_USER)
        elif self._front.passwords.busy:
            call.fail(errors.TOO_MANY_REQUESTS)
        else:
            auth_revision = users.revision

            def checked(is_right: bool) -> None:
                if not is_right:
                    call.fail(errors.AUTH_FAILED)
                elif not call.closed:
                    self._issue(call, request, auth_revision, tries)

            self._front.passwords.check(request.password, user.password_hash, checked)

    def _issue(self, call: Call, request: AuthenticateRequest, auth_revision: int, tries: int) -> None:
        replica = self._replica
        signer = replica.settings.etcd_jwt
        if signer is not None:
            signed = signer.sign(request.name, auth_revision, replica.wall_ms)
            if signed is None:
                call.fail(CANNOT_SIGN)
            else:
                call.reply(AuthenticateResponse(self._front.header(), signed))
            return
        token = f"{self._letters()}.{replica.machine.last_index}"

        def issued(result: Result) -> None:
            if result is Refusal.AUTH_OLD and tries > 1:
                self._check(call, request, tries - 1)
            elif isinstance(result, Refusal):
                call.fail(status_of(result))
            else:
                call.reply(AuthenticateResponse(self._front.header(), token))

        self._front.submit(call, IssueToken(request.name, token, auth_revision), issued)

    def _letters(self) -> str:
        """Of 52 letters each as likely as any: bytes from 208 on are drawn anew."""
        letters = ""
        while len(letters) < TOKEN_LETTERS:
            drawn = self._replica.entropy(2 * TOKEN_LETTERS)
            letters += "".join(LETTERS[byte % 52] for byte in drawn if byte < 208)
        return letters[:TOKEN_LETTERS]

    # --- users --------------------------------------------------------------------------------------------

    def _with_hash(self, call: Call, password: str, then: Callable[[bytes], None]) -> None:
        if self._front.passwords.busy:
            call.fail(errors.TOO_MANY_REQUESTS)
            return

        def done(password_hash: bytes | None) -> None:
            if password_hash is None:
                call.fail(errors.INVALID_AUTH_MANAGEMENT)
            elif not call.closed:
                then(password_hash)

        self._front.passwords.hash(password, done)

    def user_add(self, call: Call, request: AuthUserAddRequest) -> None:
        if not request.name:
            call.fail(errors.USER_EMPTY)
        elif request.options is not None and request.options.no_password:
            self._do(call, AddUser(request.name, None))
        else:
            self._with_hash(
                call,
                request.password,
                lambda password_hash: self._do(call, AddUser(request.name, password_hash)),
            )

    def user_change_password(self, call: Call, request: AuthUserChangePasswordRequest) -> None:
        """As in etcd a hash is taken where there is no password.  Where there is neither, nobody can log in
        as this user any more; the hash of nothing would let in everybody who says nothing."""

        def change(password_hash: bytes) -> None:
            self._do(call, ChangePassword(request.name, password_hash))

        if request.password:
            self._with_hash(call, request.password, change)
            return
        try:
            password_hash = base64.b64decode(request.hashedPassword, validate=True)
        except ValueError:  # no base64, or no ASCII
            call.fail(errors.AUTH_NO_PASSWORD_USER)
            return
        change(password_hash)

    def user_delete(self, call: Call, request: AuthUserDeleteRequest) -> None:
        self._do(call, DeleteUser(request.name))

    def user_grant_role(self, call: Call, request: AuthUserGrantRoleRequest) -> None:
        self._do(call, GrantRole(request.user, request.role))

    def user_revoke_role(self, call: Call, request: AuthUserRevokeRoleRequest) -> None:
        self._do(call, RevokeRole(request.name, request.role))

    def user_get(self, call: Call, request: AuthUserGetRequest) -> None:
        """Everybody may look at himself."""

        def answer() -> None:
            users = self._replica.store.users
            refusal = None if call.user == request.name else users.admin_refusal(call.user or "")
            user = users.users.get(request.name)
            if refusal is not None:
                call.fail(status_of(refusal))
            elif user is None:
                call.fail(errors.USER_NOT_FOUND)
            else:
                call.reply(AuthUserGetResponse(self._front.header(), user.roles))

        self._front.read(call, answer)

    def user_list(self, call: Call, request: AuthUserListRequest) -> None:
        def answer() -> None:
            names = tuple(sorted(self._replica.store.users.users))
            call.reply(AuthUserListResponse(self._front.header(), names))

        self._front.read(call, answer)

    # --- roles --------------------------------------------------------------------------------------------

    def role_add(self, call: Call, request: AuthRoleAddRequest) -> None:
        self._do(call, AddRole(request.name))

    def role_delete(self, call: Call, request: AuthRoleDeleteRequest) -> None:
        self._do(call, DeleteRole(request.role))

    def role_grant_permission(self, call: Call, request: AuthRoleGrantPermissionRequest) -> None:
        """Without a permission a real server of 3.4 dies, and again of the log when it is restarted."""
        given = request.perm
        if given is None:
            call.fail(errors.PERMISSION_NOT_GIVEN)
        else:
            range_end = given.range_end or None
            self._do(call, GrantPermission(request.name, int(given.permType), given.key, range_end))

    def role_revoke_permission(self, call: Call, request: AuthRoleRevokePermissionRequest) -> None:
        self._do(call, RevokePermission(request.role, request.key, request.range_end or None))

    def role_get(self, call: Call, request: AuthRoleGetRequest) -> None:
        """Everybody may look at a role that he has."""

        def answer() -> None:
            users = self._replica.store.users
            me = users.users.get(call.user or "")
            has_it = me is not None and request.role in me.roles
            refusal = None if has_it else users.admin_refusal(call.user or "")
            given = users.roles.get(request.role)
            if refusal is not None:
                call.fail(status_of(refusal))
            elif given is None:
                call.fail(errors.ROLE_NOT_FOUND)
            else:
                shown = sorted(given, key=lambda each: (each.key, each.range_end or b""))
                permissions = (Permission(each.access, each.key, each.range_end or b"") for each in shown)
                call.reply(AuthRoleGetResponse(self._front.header(), tuple(permissions)))

        self._front.read(call, answer)

    def role_list(self, call: Call, request: AuthRoleListRequest) -> None:
        def answer() -> None:
            names = tuple(sorted(self._replica.store.users.roles))
            call.reply(AuthRoleListResponse(self._front.header(), names))

        self._front.read(call, answer)
