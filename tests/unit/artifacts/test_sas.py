"""Addresses at Azure: our signatures are obstore's where its are right, and cover the name itself where they are not."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import obstore
import pytest
from obstore.store import AzureStore

from kedge.artifacts import sas
from kedge.errors import Invalid

SECRET = "c2VjcmV0"


def signed(key: str, endpoint: str) -> str:
    more: dict[str, Any] = {"endpoint": endpoint, "client_options": {"allow_http": True}} if endpoint else {}
    store = AzureStore("bucket", account_name="team", account_key=SECRET, **more)
    return obstore.sign(store, "PUT", key, timedelta(hours=1))


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:10000/team"])
def test_signatures_of_plain_names_are_those_of_obstore(endpoint: str) -> None:
    split = urlsplit(signed("a/b", endpoint))
    query = dict(parse_qsl(split.query))
    assert sas.signature(query, split.netloc, split.path, "team", SECRET) == query["sig"]


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:10000/team"])
def test_other_names_are_signed_as_they_are(endpoint: str) -> None:
    url = sas.mended(signed("a b/ü%.csv", endpoint), "a b/ü%.csv", "team", {"AZURE_STORAGE_ACCOUNT_KEY": SECRET})
    split = urlsplit(url)
    assert split.path.endswith("/bucket/a%20b/%C3%BC%25.csv")
    query = dict(parse_qsl(split.query))
    path = ("/team" if endpoint else "") + "/bucket/a b/ü%.csv"
    assert sas.signature(query, split.netloc, path, "team", SECRET) == query["sig"]


def test_without_the_accounts_key_such_a_name_is_refused() -> None:
    with pytest.raises(Invalid, match="can be signed for Azure only with the account's key"):
        sas.mended(signed("a b", ""), "a b", "team", {})
