"""Who acts for somebody else (``kubectl --as``): the owner for anybody, others where a role gives them ``impersonate``."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote

from starlette.types import Scope

from kedge.errors import BadRequest
from kedge.server.auth import AUTHENTICATED, SERVICE_ACCOUNTS, User
from kedge.server.authorizer import Authorizer
from kedge.server.rights import Asked

ANONYMOUS, UNAUTHENTICATED = "system:anonymous", "system:unauthenticated"
_EXTRA = "impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"
_AUTHENTICATION = "authentication.k8s.io"


def impersonated(scope: Scope, user: User, authorizer: Authorizer) -> User:
    """Who a request is to be taken for.

    Args:
        scope: ASGI's.
        user: Who sends it.
        authorizer: Says whom they may act for.

    Raises:
        BadRequest: Groups are named, but no user.
        Forbidden: They may not.
    """
    name, uid, groups, extra = "", "", list[str](), dict[str, tuple[str, ...]]()
    for raw, value in scope["headers"]:
        if not raw.startswith(b"impersonate-"):
            continue
        key, text = raw.decode("latin-1"), value.decode("utf-8", "replace")
        if key == "impersonate-user":
            name = text
        elif key == "impersonate-uid":
            uid = text
        elif key == "impersonate-group":
            groups.append(text)
        elif key.startswith(_EXTRA):
            about = unquote(key.removeprefix(_EXTRA))
            extra[about] = (*extra.get(about, ()), text)
    if not name:
        if uid or groups or extra:
            raise BadRequest("Impersonate-Group, -Uid and -Extra- need Impersonate-User: name the user (kubectl --as).")
        return user
    wanted = User(name, uid, tuple(groups), extra)
    for asked in _asked(wanted):
        authorizer.require(user, asked)
    return replace(wanted, groups=_groups(wanted))


def _asked(wanted: User) -> Iterator[Asked]:
    if account := _account(wanted.name):
        yield Asked("impersonate", "", "serviceaccounts", *account)
    else:
        yield Asked("impersonate", "", "users", name=wanted.name)
    for group in wanted.groups:
        yield Asked("impersonate", "", "groups", name=group)
    if wanted.uid:
        yield Asked("impersonate", _AUTHENTICATION, "uids", name=wanted.uid)
    for about, values in wanted.extra.items():
        for value in values:
            yield Asked("impersonate", _AUTHENTICATION, f"userextras/{about}", name=value)


def _account(name: str) -> tuple[str, str] | None:
    """Namespace and name of the service account that a user's name stands for."""
    namespace, colon, account = name.removeprefix(_ACCOUNT).partition(":")
    return (namespace, account) if name.startswith(_ACCOUNT) and colon and namespace and account else None


def _groups(wanted: User) -> tuple[str, ...]:
    groups = list(wanted.groups)
    if not groups and (account := _account(wanted.name)):
        groups = [SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{account[0]}"]
    own = UNAUTHENTICATED if wanted.name == ANONYMOUS else AUTHENTICATED
    return tuple(groups if own in groups else [*groups, own])
