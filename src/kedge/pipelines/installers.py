"""Whether code names an installer: a step that calls one changes the environment that it runs in, which other steps share."""

import re

# A comment that names one costs the step a mount.
_INSTALLERS = re.compile(r"\b(pip3?|uv|ensurepip|easy_install|conda|mamba|micromamba)\b")


def named_in(source: str) -> bool:
    """Whether a source names one.

    Examples:
        >>> named_in('run([sys.executable, "-m", "pip", "install", "six"])'), named_in("pipeline = 1")
        (True, False)
    """
    return _INSTALLERS.search(source) is not None
