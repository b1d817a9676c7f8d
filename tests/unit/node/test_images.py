"""What an image's name means here."""

from pathlib import Path

import pytest

from kedge.errors import KedgeError
from kedge.node.images import ImageTable, read
from kedge.node.refusals import Refusal


@pytest.mark.parametrize(
    ("image", "python"),
    [
        ("python:3.11", "3.11"),
        ("python:3.12.1-slim-bookworm", "3.12.1"),
        ("docker.io/library/python:3.12-alpine", "3.12"),
        ("docker.io/python:3", "3"),
        ("python", "3"),
        ("python:latest", "3"),
        ("python:slim", "3"),
        ("python:3.11@sha256:0123", "3.11"),
        ("debian:12", ""),
        ("alpine", ""),
        ("docker.io/library/ubuntu:24.04", ""),
        ("busybox:1.36@sha256:0123", ""),
    ],
)
def test_names_that_are_known(image: str, python: str) -> None:
    assert ImageTable().resolve(image, "x").python == python


@pytest.mark.parametrize(
    "image",
    ["pytorch/pytorch:2.1", "myregistry:5000/python:3.11", "ghcr.io/a/debian", "python:windowsservercore", "pythonic", ""],
)
def test_others_are_refused_by_name(image: str) -> None:
    with pytest.raises(Refusal) as caught:
        ImageTable(file="/home/images.json").resolve(image, "spec.containers[0].image")
    assert caught.value.reason == "ImageNotSupported"
    assert caught.value.message.startswith(
        f"spec.containers[0].image: image {image!r} cannot be run: this host has no container runtime"
    )
    assert "/home/images.json" in caught.value.message


def test_a_person_can_add_names(tmp_path: Path) -> None:
    file = tmp_path / "images.json"
    file.write_text('{"python": {"pytorch/pytorch": "3.11", "my/python": "", "my/python:old": "3.8"}, "linux": ["my/tools"]}')
    table = read(file)
    assert table.resolve("pytorch/pytorch:2.1", "x").python == "3.11"
    assert table.resolve("my/python:3.12-slim", "x").python == "3.12"
    assert table.resolve("my/python:old", "x").python == "3.8"
    assert table.resolve("my/tools:1", "x").python == ""
    assert table.resolve("python:3.9", "x").python == "3.9"


def test_without_a_file_the_table_is_the_usual_one(tmp_path: Path) -> None:
    assert read(tmp_path / "images.json").resolve("debian", "x").python == ""


@pytest.mark.parametrize("text", ["{", "[]", '{"python": ["x"]}', '{"python": {"x": "new"}}', '{"python": {"x": 3.11}}'])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "images.json"
    file.write_text(text)
    with pytest.raises(KedgeError, match=r"images\.json: .*correct it, or remove it"):
        read(file)
