"""Addresses: nothing climbs out of the folder that it belongs to."""

from pathlib import Path

import pytest

from kedge.artifacts.uris import join, local_path, scheme
from kedge.errors import Invalid


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///data/a", "/data/a"),
        ("file://localhost/data/a", "/data/a"),
        ("file:///data/a%20b", "/data/a b"),
        ("file:///data/what?#is", "/data/what?#is"),
        ("/data/a", "/data/a"),
        ("s3://bucket/a", None),
        ("gs://bucket/../a", None),
    ],
)
def test_local_addresses_are_paths(uri: str, path: str | None) -> None:
    assert local_path(uri) == (None if path is None else Path(path))


@pytest.mark.parametrize(
    "uri", ["file:///a/../b", "file:///a/%2e%2e/b", "/a/../b", "file://host/a", "file:///a%00b", "data/a", "", "://a", "file://"]
)
def test_what_leaves_its_folder_or_names_no_place_is_refused(uri: str) -> None:
    with pytest.raises(Invalid, match="artifact address"):
        local_path(uri)


@pytest.mark.parametrize("part", ["", ".", "..", "a/b", "a\0b"])
def test_a_part_is_one_folder(part: str) -> None:
    with pytest.raises(Invalid, match="cannot be one part"):
        join("file:///data", "run", part)


def test_what_was_joined_is_found_again() -> None:
    uri = join("file:///data", "run", "größe 100%")
    assert scheme(uri) == "file"
    assert local_path(uri) == Path("/data/run/größe 100%")
