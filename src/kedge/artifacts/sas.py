"""Signatures of addresses in Azure's blob store (service SAS), for names that obstore signs wrongly.

Azure signs an object's name as it is; obstore signs it percent-encoded, so that its addresses of names with a blank, a ``%`` or a
letter beyond ASCII get 403. Where the account's key is in the environment, the signature is made here, over the same fields.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlsplit

from kedge.errors import Invalid

_KEYS = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY")
# In this order, since version 2020-12-06; None stands for the resource. What an address does not say is an empty line.
_FIELDS = ("sp", "st", "se", None, "si", "sip", "spr", "sv", "sr", "snapshot", "ses", "rscc", "rscd", "rsce", "rscl", "rsct")


def mended(url: str, key: str, account: str, environ: Mapping[str, str]) -> str:
    """The address, with a signature over the object's name as it is.

    Args:
        url: As obstore signed it.
        key: The object's name in its container.
        account: The storage account's name.
        environ: Where the account's key may be.

    Raises:
        Invalid: The name needs it, and there is no key: Azure would refuse the address.
    """
    if quote(key) == key:
        return url
    secret = next((environ[name] for name in _KEYS if environ.get(name)), "")
    if not secret:
        raise Invalid(
            f"{key}: a name with a blank or a letter beyond ASCII can be signed for Azure only with the account's key. "
            f"Set {_KEYS[0]} where the hub runs, or name the file with plain letters."
        )
    split = urlsplit(url)
    container = split.path.rsplit("/", key.count("/") + 1)[0]
    query = dict(parse_qsl(split.query))
    query["sig"] = signature(query, split.netloc, f"{container}/{key}", account, secret)
    asked = "&".join(f"{name}={quote(query[name], safe='')}" for name in query)
    return f"{split.scheme}://{split.netloc}{container}/{quote(key)}?{asked}"


def signature(query: Mapping[str, str], host: str, path: str, account: str, secret: str) -> str:
    """Sign what an address says.

    Args:
        query: Its fields, decoded.
        host: Its host; with an emulator the account stands in the path instead.
        path: Decoded.
        account: The storage account's name.
        secret: The account's key, in base64.
    """
    resource = f"/blob/{account}{path}" if account in host else f"/blob{path}"
    text = "\n".join(resource if name is None else query.get(name, "") for name in _FIELDS)
    return base64.b64encode(hmac.new(base64.b64decode(secret), text.encode(), hashlib.sha256).digest()).decode()
