"""Users, roles and what they may touch: `etcdserverpb.Auth` and the package `authpb`."""
from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Struct

from agreed.wire.etcd.messages.fields import Uint64
from agreed.wire.etcd.messages.kv import ResponseHeader


class PermissionType(IntEnum):
    READ = 0
    WRITE = 1
    READWRITE = 2


class UserAddOptions(Struct, frozen=True, gc=False):
    no_password: Annotated[bool, 1] = False


class User(Struct, frozen=True, gc=False):
    name: Annotated[bytes, 1] = b""
    password: Annotated[bytes, 2] = b""
    roles: Annotated[tuple[str, ...], 3] = ()
    options: Annotated[UserAddOptions | None, 4] = None


class Permission(Struct, frozen=True, gc=False):
    permType: Annotated[int, PermissionType, 1] = PermissionType.READ
    key: Annotated[bytes, 2] = b""
    range_end: Annotated[bytes, 3] = b""


class Role(Struct, frozen=True, gc=False):
    name: Annotated[bytes, 1] = b""
    keyPermission: Annotated[tuple[Permission, ...], 2] = ()


class AuthEnableRequest(Struct, frozen=True, gc=False):
    pass


class AuthDisableRequest(Struct, frozen=True, gc=False):
    pass


class AuthStatusRequest(Struct, frozen=True, gc=False):
    pass


class AuthenticateRequest(Struct, frozen=True, gc=False):
    name: Annotated[str, 1] = ""
    password: Annotated[str, 2] = ""


class AuthUserAddRequest(Struct, frozen=True, gc=False):
    name: Annotated[str, 1] = ""
    password: Annotated[str, 2] = ""
    options: Annotated[UserAddOptions | None, 3] = None
    hashedPassword: Annotated[str, 4] = ""


class AuthUserGetRequest(Struct, frozen=True, gc=False):
    name: Annotated[str, 1] = ""


class AuthUserDeleteRequest(Struct, frozen=True, gc=False):
    name: Annotated[str, 1] = ""


class AuthUserChangePasswordRequest(Struct, frozen=True, gc=False):
    name: Annotated[str, 1] = ""
    password: Annotated[str, 2] = ""
    hashedPassword: Annotated[str, 3] = ""


class AuthUserGrantRoleRequest(Struct, frozen=True, gc=False):
    user: Annotated[str, 1] = ""
    role: Annotated[str, 2] = ""


class AuthUserRevokeRoleRequest(Struct, frozen=True, gc=False):
    name: Annotated[str, 1] = ""
    role: Annotated[str, 2] = ""


class AuthRoleAddRequest(Struct, frozen=True, gc=False):
    name: Annotated[str, 1] = ""


class AuthRoleGetRequest(Struct, frozen=True, gc=False):
    role: Annotated[str, 1] = ""


class AuthUserListRequest(Struct, frozen=True, gc=False):
    pass


class AuthRoleListRequest(Struct, frozen=True, gc=False):
    pass


class AuthRoleDeleteRequest(Struct, frozen=True, gc=False):
    role: Annotated[str, 1] = ""


class AuthRoleGrantPermissionRequest(Struct, frozen=True, gc=False):
    name: Annotated[str, 1] = ""
    perm: Annotated[Permission | None, 2] = None


class AuthRoleRevokePermissionRequest(Struct, frozen=True, gc=False):
    role: Annotated[str, 1] = ""
    key: Annotated[bytes, 2] = b""
    range_end: Annotated[bytes, 3] = b""


class AuthEnableResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class AuthDisableResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class AuthStatusResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    enabled: Annotated[bool, 2] = False
    authRevision: Annotated[Uint64, 3] = 0


class AuthenticateResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    token: Annotated[str, 2] = ""


class AuthUserAddResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class AuthUserGetResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    roles: Annotated[tuple[str, ...], 2] = ()


class AuthUserDeleteResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class AuthUserChangePasswordResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class AuthUserGrantRoleResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class AuthUserRevokeRoleResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class AuthRoleAddResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class AuthRoleGetResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    perm: Annotated[tuple[Permission, ...], 2] = ()


class AuthRoleListResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    roles: Annotated[tuple[str, ...], 2] = ()


class AuthUserListResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
    users: Annotated[tuple[str, ...], 2] = ()


class AuthRoleDeleteResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class AuthRoleGrantPermissionResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None


class AuthRoleRevokePermissionResponse(Struct, frozen=True, gc=False):
    header: Annotated[ResponseHeader | None, 1] = None
