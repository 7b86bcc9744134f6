"""The store between a project and the nodes of a cluster: what is put comes out as it was, and a damaged copy is forgotten."""

import os

import pytest

from neocog.core.errors import NeocogError, UserError
from neocog.orchestration.cluster import store


@pytest.fixture
def content(tmp_path):
    """A folder with a program, in a store: how a node gets it, by which content."""
    made, where = tmp_path / "project/code", tmp_path / "store"
    (made / "inner").mkdir(parents=True)
    where.mkdir()
    (made / "inner/run.sh").write_text("true")
    (made / "inner/run.sh").chmod(0o755)
    (made / "data").write_text("data")
    there = store.opened({"url": str(where)})
    return there, store.put(tmp_path / "project", "code", there)


def test_a_node_gets_what_the_project_put_and_its_cache_serves_again(content, tmp_path):
    there, what = content
    cache = store.local(tmp_path / "cache")
    for number in range(2):
        place = tmp_path / f"place{number}"
        store.get(what, there, cache, place)
        assert (place / "code/data").read_text() == "data"
        assert os.access(place / "code/inner/run.sh", os.X_OK) and not os.access(place / "code/data", os.X_OK)
        for path in (tmp_path / "store").rglob("*"):
            if path.is_file():
                path.unlink()
    with pytest.raises(NeocogError, match="cannot be copied from"):
        store.get(what, there, store.local(tmp_path / "other"), tmp_path / "place2")


def test_what_was_written_into_is_fetched_anew(content, tmp_path):
    there, what = content
    cache = store.local(tmp_path / "cache")
    store.get(what, there, cache, tmp_path / "place")
    (tmp_path / "place/code/data").chmod(0o644)
    (tmp_path / "place/code/data").write_text("spoilt")
    store.forget(what, cache, ["code/data", "code/else"])
    store.get(what, there, cache, tmp_path / "again")
    assert (tmp_path / "again/code/data").read_text() == "data"


def test_settings_of_the_store_hold_nothing_of_config_local(tmp_path):
    remote = {"url": "s3://bucket/folder", "endpointurl": "http://store", "secret_access_key": "hidden"}
    config = {"core": {"remote": "storage"}, "remote": {"storage": remote}, "cache": {}}
    told = store.settings(config, {"remote": {"storage": {"secret_access_key": "hidden"}}})
    assert told == {"url": "s3://bucket/folder", "endpointurl": "http://store"}
    assert store.settings({"core": {}, "cache": {"dir": "/shared"}}, {}) == {"url": "/shared"}
    with pytest.raises(UserError, match="dvc remote add -d"):
        store.settings({"core": {}, "cache": {}}, {})
    with pytest.raises(UserError, match="is not there on"):
        store.opened({"url": str(tmp_path / "nowhere")})
