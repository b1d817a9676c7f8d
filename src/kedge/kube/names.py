"""What may be a name, and how to make one that fits.

Kubernetes has three rules: a *label* (RFC 1123: Namespaces, containers, most parts of other names), a *subdomain* (labels joined
by dots: Pods, ConfigMaps, most objects) and a *qualified name* (keys of labels and annotations). Each check returns the sentence
that says what is wrong, or ``""``; `shorten` makes a name deterministic and unique where the parts it is made of are too long.
"""

import hashlib
import re

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_QUALIFIED_CHARACTERS = "letters, digits, '-', '_' or '.'"
_ENV = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_NOT_IN_LABEL = re.compile(r"[^a-z0-9]+")

# The alphabet in which Kubernetes generates names: no vowels (no words), nothing that is mistaken for something else.
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
LABEL_LIMIT = 63
SUBDOMAIN_LIMIT = 253


def label_fault(name: str) -> str:
    """Say why a text is no RFC 1123 label, or ``""`` when it is one.

    Examples:
        >>> label_fault("main")
        ''
        >>> label_fault("My_Step")
        "must be lower-case letters, digits or '-', starting and ending with a letter or digit, got 'My_Step'"
    """
    return _fault(name, _LABEL, LABEL_LIMIT, "lower-case letters, digits or '-'")


def subdomain_fault(name: str) -> str:
    """Say why a text is no RFC 1123 subdomain, or ``""`` when it is one.

    Examples:
        >>> subdomain_fault("team-a.example.com")
        ''
    """
    return _fault(name, _SUBDOMAIN, SUBDOMAIN_LIMIT, "lower-case letters, digits, '-' or '.'")


def qualified_fault(name: str) -> str:
    """Say why a text cannot be the key of a label or annotation, or ``""`` when it can.

    Examples:
        >>> qualified_fault("kedge.dev/run")
        ''
        >>> qualified_fault("kedge.dev/")
        "name part must be letters, digits, '-', '_' or '.', starting and ending with a letter or digit, got ''"
    """
    prefix, slash, last = name.rpartition("/")
    if slash and (fault := subdomain_fault(prefix)):
        return f"prefix part {fault}"
    fault = _fault(last, _QUALIFIED, LABEL_LIMIT, _QUALIFIED_CHARACTERS)
    return f"name part {fault}" if fault else ""


def label_value_fault(value: str) -> str:
    """Say why a text cannot be the value of a label, or ``""`` when it can.

    Examples:
        >>> label_value_fault("")
        ''
    """
    return _fault(value, _QUALIFIED, LABEL_LIMIT, _QUALIFIED_CHARACTERS) if value else ""


def _fault(text: str, pattern: re.Pattern[str], limit: int, characters: str) -> str:
    if len(text) > limit:
        return f"must be at most {limit} characters, got {len(text)}"
    if not pattern.fullmatch(text):
        return f"must be {characters}, starting and ending with a letter or digit, got {text!r}"
    return ""


def env_name_fault(name: str) -> str:
    """Say why a text cannot name an environment variable, or ``""`` when it can.

    Examples:
        >>> env_name_fault("KEDGE_HUB")
        ''
    """
    if not _ENV.fullmatch(name):
        return f"must be letters, digits, '_', '-' or '.' and not start with a digit, got {name!r}"
    return ""


def digest(text: str, length: int = 8) -> str:
    """The first hexadecimal digits of a text's SHA-256: short, and the same on every machine.

    Examples:
        >>> digest("train")
        '116f54c4'
    """
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def suffix_of(text: str, length: int = 5) -> str:
    """Letters and digits that follow from a text, of the kind that Kubernetes ends names with.

    Examples:
        >>> suffix_of("a") == suffix_of("a"), len(suffix_of("b", 10))
        (True, 10)
    """
    number, letters = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"), ""
    for _ in range(length):
        number, index = divmod(number, len(SUFFIX_ALPHABET))
        letters += SUFFIX_ALPHABET[index]
    return letters


def slug(text: str) -> str:
    """Turn any text into lower-case letters, digits and single dashes; ``x`` when nothing is left.

    Examples:
        >>> slug("for-loop-1.3.Train model")
        'for-loop-1-3-train-model'
    """
    return _NOT_IN_LABEL.sub("-", text.lower()).strip("-") or "x"


def shorten(text: str, limit: int = LABEL_LIMIT) -> str:
    """Fit a text into a name: unchanged when it fits, else cut and made unique by a hash of the whole.

    Args:
        text: Any text; what a label does not allow becomes a dash.
        limit: Characters that the result may have; at least 10.

    Examples:
        >>> shorten("penguins-train")
        'penguins-train'
        >>> shorten("a-very-long-name-of-a-step", 20)
        'a-very-long-8e9356f7'
    """
    name = slug(text)
    if name == text and len(name) <= limit:
        return name
    mark = digest(text)
    return f"{name[: limit - len(mark) - 1].rstrip('-')}-{mark}"
