# type: ignore
# fmt: off
"""Secrets and ConfigMaps as variables and files: named by constants, inputs, outputs and items; optional ones that are not there."""

from kedge import dsl
from kedge.dsl import kubernetes


@dsl.component
def chosen() -> str:
    return "conformance-settings"


@dsl.component
def look() -> list:
    import os

    files = [f"{folder}/{name}" for folder in ("/etc/a", "/etc/b") if os.path.isdir(folder) for name in sorted(os.listdir(folder))]
    found = [f"{name}={os.environ[name]}" for name in ("USER_NAME", "PASSWORD", "LEVEL", "ABSENT") if name in os.environ]
    return found + [f"{file}={open(file).read()}" for file in files if not os.path.basename(file).startswith(".")]


@dsl.container_component
def print_them(said: dsl.OutputPath(str)):
    return dsl.ContainerSpec("busybox", ["sh", "-c", 'mkdir -p "$(dirname "$0")"; printf "%s %s" "$PASSWORD" "$(cat /etc/a/user)" > "$0"'], [said])


@dsl.pipeline
def pipeline(secret: str = "conformance-login"):
    settings = chosen()

    by_constant = look()
    kubernetes.use_secret_as_env(by_constant, "conformance-login", {"user": "USER_NAME", "password": "PASSWORD"})
    kubernetes.use_secret_as_volume(by_constant, "conformance-login", "/etc/a")
    kubernetes.use_config_map_as_env(by_constant, "conformance-settings", {"level": "LEVEL"})
    kubernetes.use_config_map_as_volume(by_constant, "conformance-settings", "/etc/b")

    by_value = look()
    kubernetes.use_secret_as_env(by_value, secret, {"password": "PASSWORD"})
    kubernetes.use_config_map_as_env(by_value, settings.output, {"level": "LEVEL"})
    kubernetes.use_config_map_as_volume(by_value, settings.output, "/etc/b")

    in_command = print_them()
    kubernetes.use_secret_as_env(in_command, secret, {"password": "PASSWORD"})
    kubernetes.use_secret_as_volume(in_command, secret, "/etc/a")

    not_there = look()
    kubernetes.use_secret_as_env(not_there, "conformance-nothing", {"user": "ABSENT"}, optional=True)
    kubernetes.use_secret_as_env(not_there, "conformance-login", {"nothing": "ABSENT"}, optional=True)
    kubernetes.use_config_map_as_volume(not_there, "conformance-nothing", "/etc/b", optional=True)

    with dsl.If(secret == "conformance-login"):
        in_branch = look()
        kubernetes.use_secret_as_env(in_branch, secret, {"user": "USER_NAME"})
        kubernetes.use_config_map_as_env(in_branch, settings.output, {"level": "LEVEL"})

    with dsl.ParallelFor(["conformance-login", "conformance-other"]) as item:
        of_item = look()
        kubernetes.use_secret_as_env(of_item, item, {"user": "USER_NAME"})

    with dsl.ParallelFor([{"login": "conformance-login"}, {"login": "conformance-other"}]) as row:
        of_part = look()
        kubernetes.use_secret_as_env(of_part, row.login, {"user": "USER_NAME"})


OBJECTS = [
    {"kind": "Secret", "metadata": {"name": "conformance-login"}, "stringData": {"user": "ada", "password": "s3cret"}},
    {"kind": "Secret", "metadata": {"name": "conformance-other"}, "stringData": {"user": "bob"}},
    {"kind": "ConfigMap", "metadata": {"name": "conformance-settings"}, "data": {"level": "high"}},
]
EXPECTED = {
    "returned": {
        "look": {"Output": ["USER_NAME=ada", "PASSWORD=s3cret", "LEVEL=high", "/etc/a/password=s3cret", "/etc/a/user=ada", "/etc/b/level=high"]},
        "look-2": {"Output": ["PASSWORD=s3cret", "LEVEL=high", "/etc/b/level=high"]},
        "print-them": {"said": "s3cret ada"},
        "look-3": {"Output": []},
        "look-4": {"Output": ["USER_NAME=ada", "LEVEL=high"]},
        "look-5": [{"Output": ["USER_NAME=ada"]}, {"Output": ["USER_NAME=bob"]}],
        "look-6": [{"Output": ["USER_NAME=ada"]}, {"Output": ["USER_NAME=bob"]}],
    },
}
