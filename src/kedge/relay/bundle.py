"""Makes the zipapp that the relay's Pod runs; on the hub, and no part of what it makes.

Two builds of the same files are equal to the byte, so that the digest names the content.
"""

import hashlib
import io
import os
import zipfile
from functools import lru_cache

_HERE = os.path.dirname(os.path.abspath(__file__))
_MAIN = b"from kedge.relay.__main__ import main\n\nmain()\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say


@lru_cache(maxsize=1)
def build() -> bytes:
    """Make the zipapp; the same files give the same bytes."""
    files = {"__main__.py": _MAIN, "kedge/__init__.py": b""}
    for name in os.listdir(_HERE):
        if name.endswith(".py") and name != "bundle.py":
            with open(os.path.join(_HERE, name), "rb") as file:
                files["kedge/relay/" + name] = file.read()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return out.getvalue()


@lru_cache(maxsize=1)
def digest() -> str:
    """SHA-256 of the zipapp, in hex."""
    return hashlib.sha256(build()).hexdigest()
