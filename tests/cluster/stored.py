"""What lies where a host under test keeps its artifacts: a folder of the embedded host's, an object store's prefix of a hub's."""

from typing import Any

from objects import namespace_of
from obstore.store import LocalStore, S3Store

from kedge.testing.host import RunningHost


def files(kedge: RunningHost) -> list[str]:
    """The path of each file, below the place."""
    return [found["path"] for page in _store(kedge).list() for found in page]


def put(kedge: RunningHost, name: str, content: bytes) -> str:
    """Put a file there that no run has made, where the host's runs may have it.

    Returns:
        Its address, as an importer names it.
    """
    path = f"{namespace_of(kedge)}/{name}"
    _store(kedge).put(path, content)
    return f"{_root(kedge)}/{path}"


def _root(kedge: RunningHost) -> str:
    return kedge.settings.artifacts or (kedge.home / "artifacts").as_uri()


def _store(kedge: RunningHost) -> Any:
    root, environ = _root(kedge), kedge.settings.environ
    if root.startswith("file://"):
        return LocalStore(root.removeprefix("file://"), mkdir=True)
    return S3Store.from_url(
        root,
        endpoint=environ["AWS_ENDPOINT_URL"],
        access_key_id=environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        region=environ["AWS_REGION"],
        client_options={"allow_http": True},
    )
