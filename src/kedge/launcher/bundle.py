"""Makes the zipapp: the launcher, `kedge.dsl`, and the names ``kedge`` and ``kfp`` for the user's code.

Runs on the hub, never in a step, and is not part of what it makes. Two builds of the same files are equal to the byte, so that
the digest names the content: one ConfigMap a version, one expanded copy a node.
"""

import hashlib
import io
import os
import zipfile
from functools import lru_cache
from typing import Dict

_HERE = os.path.dirname(os.path.abspath(__file__))
_DSL = os.path.join(os.path.dirname(_HERE), "dsl")
_NOT_IN_STEPS = ("bundle.py",)
_MAIN = "from kedge.launcher.__main__ import end, main\n\nif __name__ == '__main__':\n    end(main)\n"
_SHIMS = {
    "kedge/__init__.py": "kedge_package.py",
    "kedge/dsl/__init__.py": "kedge_dsl.py",
    "kfp/__init__.py": "kfp_package.py",
    "kfp/dsl/__init__.py": "kfp_dsl.py",
    "kfp/dsl/executor_main.py": "kfp_executor_main.py",
    "kfp/dsl/types/__init__.py": "kfp_types_package.py",
    "kfp/dsl/types/artifact_types.py": "kfp_dsl_types.py",
    "kfp/dsl/types/type_annotations.py": "kfp_dsl_types.py",
    "shell/pip/__init__.py": "pip_package.py",
    "shell/pip/__main__.py": "pip_main.py",
    # What the programs that pip installs for itself call.
    "shell/pip/_internal/__init__.py": "pip_package.py",
    "shell/pip/_internal/cli/__init__.py": "pip_package.py",
    "shell/pip/_internal/cli/main.py": "pip_main.py",
}
# Nothing but kfp to install needs no Python to be started for it: the same as `installers.without_kfp` for the commonest lines.
_PYTHON = """#!/bin/sh
if [ "$1 $2 $3" = "-m pip install" ] && [ "$KEDGE_KFP_RUNTIME" != installed ]; then
    kfp= other=
    for word in "$@"; do
        case $word in
            -m | pip | install | -q | --quiet | --no-deps | --no-warn-script-location) ;;
            kfp | kfp[=\\<\\>~!]*) kfp=1 ;;
            'typing-extensions>=3.7.4,<5; python_version<"3.9"') ;;
            *) other=1 ;;
        esac
    done
    if [ -n "$kfp" ] && [ -z "$other" ]; then exit 0; fi
fi
if [ "$1 $2" = "-m venv" ]; then
    shift 2
    exec "$KEDGE_PYTHON" -c "import sys; from kedge.launcher.installers import venv; sys.exit(venv())" "$@"
fi
exec "$KEDGE_PYTHON" "$@"
"""
# Programs, where the zipapp is expanded into a folder.
_PROGRAMS = {
    "shell/bin/python": _PYTHON,
    "shell/bin/python3": _PYTHON,
    "shell/bin/pip": '#!/bin/sh\nexec python3 -m pip "$@"\n',
    "shell/bin/pip3": '#!/bin/sh\nexec python3 -m pip "$@"\n',
    "shell/bin/uv": '#!/bin/sh\nexec python3 -c "import sys; from kedge.launcher.installers import uv; sys.exit(uv())" "$@"\n',
}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say


@lru_cache(maxsize=1)
def build() -> bytes:
    """Make the zipapp; the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in sorted(_files().items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = (0o755 if name in _PROGRAMS else 0o644) << 16
            archive.writestr(entry, text)
    return out.getvalue()


@lru_cache(maxsize=1)
def digest() -> str:
    """SHA-256 of the zipapp, in hex."""
    return hashlib.sha256(build()).hexdigest()


def _files() -> Dict[str, bytes]:
    found = {"__main__.py": _MAIN.encode()}
    for folder, name in ((_HERE, "kedge/launcher/"), (_DSL, "kedge/dsl/")):
        for base, folders, files in os.walk(folder):
            folders[:] = [inner for inner in folders if inner not in ("__pycache__", "shims")]
            inside = os.path.relpath(base, folder).replace(os.sep, "/")
            prefix = name if inside == "." else f"{name}{inside}/"
            for file in files:
                if file.endswith(".py") and file not in _NOT_IN_STEPS:
                    found[prefix + file] = _read(os.path.join(base, file))
    found["kedge/dsl/language.py"] = found["kedge/dsl/__init__.py"]  # its relative imports mean the same there
    found.update({name: text.encode() for name, text in _PROGRAMS.items()})
    for target, source in _SHIMS.items():
        found[target] = _read(os.path.join(_HERE, "shims", source))
    return found


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
