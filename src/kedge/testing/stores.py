# ruff: noqa: S101  # a test kit asserts
"""What every object store promises, as tests.

A store's own test module inherits `StoreConformance` and gives the fixture ``store``; a store that outlives its process also
inherits `DurableStoreConformance` and gives ``reopen``.
"""

from collections.abc import Callable

import pytest

from kedge import errors
from kedge.store.types import Record, Store

POD = "/registry/pods/default/a"


class StoreConformance:
    """The rules of `kedge.store.types`, one test each."""

    def test_begins_empty_at_revision_zero(self, store: Store) -> None:
        """A new log holds nothing."""
        assert (store.current(), store.compacted(), store.list("/").records) == (0, 0, [])

    def test_revisions_grow_by_one_a_write(self, store: Store) -> None:
        """Each write gets the next number, and `current` is the newest."""
        numbers = [store.create(f"/k/{i}", b"{}").revision for i in range(3)]
        assert numbers == [1, 2, 3]
        assert store.current() == 3

    def test_what_was_created_is_found(self, store: Store) -> None:
        """An object is read back by key, with the revision that made it."""
        store.create("/other", b"x")
        made = store.create(POD, b"1")
        assert store.get(POD) == Record(POD, 2, b"1", 2)
        assert made.created
        assert store.get("/registry/pods/default/b") is None

    def test_creating_twice_is_refused(self, store: Store) -> None:
        """The second creation names what is there, and writes nothing."""
        store.create(POD, b"1")
        with pytest.raises(errors.AlreadyExists, match="already exists"):
            store.create(POD, b"2")
        assert store.current() == 1

    def test_an_update_replaces_the_revision_it_names(self, store: Store) -> None:
        """An update keeps the creation's revision, and gets its own."""
        first = store.create(POD, b"1")
        second = store.update(POD, b"2", first.revision)
        assert (second.revision, second.create_revision, second.created) == (2, 1, False)
        assert store.get(POD) == Record(POD, 2, b"2", 1)

    def test_of_two_writers_the_second_is_refused(self, store: Store) -> None:
        """Whoever read an old revision must read again."""
        first = store.create(POD, b"1")
        store.update(POD, b"2", first.revision)
        with pytest.raises(errors.Conflict, match="has been modified: its revision is 2, the change was made to 1"):
            store.update(POD, b"3", first.revision)
        with pytest.raises(errors.Conflict):
            store.delete(POD, first.revision)
        assert store.current() == 2

    def test_what_is_not_there_cannot_change(self, store: Store) -> None:
        """Update and delete say that there is no such object."""
        with pytest.raises(errors.NotFound):
            store.update(POD, b"1", 0)
        with pytest.raises(errors.NotFound):
            store.delete(POD, 1)

    def test_a_deletion_is_a_revision_with_the_last_value(self, store: Store) -> None:
        """Watchers need what the object last was."""
        first = store.create(POD, b"1")
        gone = store.delete(POD, first.revision)
        assert gone == Record(POD, 2, b"1", 1, deleted=True, previous=b"1")
        assert store.get(POD) is None

    def test_a_deleted_key_can_be_created_again(self, store: Store) -> None:
        """It is a new object, with a creation of its own."""
        store.delete(POD, store.create(POD, b"1").revision)
        again = store.create(POD, b"2")
        assert (again.revision, again.create_revision) == (3, 3)
        assert store.get(POD) == Record(POD, 3, b"2", 3)
        assert store.delete(POD, store.update(POD, b"3", 3).revision).revision == 5

    def test_a_list_is_in_key_order_and_of_its_prefix(self, store: Store) -> None:
        """Other prefixes and deleted objects are not in it."""
        for key in ("/p/b", "/p/a", "/q/a", "/p/c"):
            store.create(key, key.encode())
        store.delete("/p/c", 4)
        listing = store.list("/p/")
        assert [record.key for record in listing.records] == ["/p/a", "/p/b"]
        assert (listing.revision, listing.more) == (5, False)

    def test_pages_are_of_one_moment(self, store: Store) -> None:
        """A list continued at its revision does not see later writes."""
        for name in "abcd":
            store.create(f"/p/{name}", b"1")
        first = store.list("/p/", limit=2)
        store.update("/p/c", b"2", 3)
        store.delete("/p/d", 4)
        store.create("/p/e", b"1")
        second = store.list("/p/", revision=first.revision, limit=2, start=first.records[-1].key)
        assert [(record.key, record.value) for record in second.records] == [("/p/c", b"1"), ("/p/d", b"1")]
        assert (first.more, second.more) == (True, False)
        assert store.count("/p/", revision=first.revision, start=first.records[-1].key) == 2
        assert store.count("/p/") == 4

    def test_changes_after_a_revision_come_in_order(self, store: Store) -> None:
        """Each with the value before it."""
        store.create(POD, b"1")
        store.create("/other", b"x")
        store.update(POD, b"2", 1)
        store.delete(POD, 3)
        changes = store.after(1, "/registry/")
        assert [(c.revision, c.value, c.previous, c.deleted, c.created) for c in changes] == [
            (3, b"2", b"1", False, False),
            (4, b"2", b"2", True, False),
        ]
        assert [c.revision for c in store.after(0, limit=2)] == [1, 2]
        assert [c.previous for c in store.after(0, limit=1)] == [None]

    def test_an_object_made_anew_has_no_value_before(self, store: Store) -> None:
        """What a key held in another life is not told."""
        store.delete(POD, store.create(POD, b"1").revision)
        store.create(POD, b"2")
        assert [change.previous for change in store.after(2)] == [None]

    def test_changes_that_have_not_happened_are_refused(self, store: Store) -> None:
        """A client that knows a later revision than the log must list again."""
        with pytest.raises(errors.Gone, match="too large resource version: 7, current: 0"):
            store.after(7)
        with pytest.raises(errors.Gone):
            store.list("/", revision=7)

    def test_subscribers_hear_each_write_once_before_it_returns(self, store: Store) -> None:
        """Of their prefix, until they leave."""
        heard = list[int]()
        leave = store.subscribe("/registry/", lambda record: heard.append(record.revision))
        store.create(POD, b"1")
        assert heard == [1]
        store.create("/other", b"1")
        store.update(POD, b"2", 1)
        leave()
        store.delete(POD, 3)
        assert heard == [1, 3]

    def test_subscribers_hear_the_value_before(self, store: Store) -> None:
        """As `after` tells it."""
        heard = list[Record]()
        store.subscribe("", heard.append)
        store.create(POD, b"1")
        store.update(POD, b"2", 1)
        store.delete(POD, 2)
        assert heard == list(store.after(0))

    def test_a_write_made_on_hearing_of_one_is_told_in_order(self, store: Store) -> None:
        """Also to those who hear of the first one later."""
        heard = list[int]()

        def follow(record: Record) -> None:
            if record.revision == 1:
                store.create("/second", b"")

        store.subscribe("", follow)
        store.subscribe("", lambda record: heard.append(record.revision))
        store.create("/first", b"")
        assert heard == [1, 2]

    def test_compaction_keeps_what_exists(self, store: Store) -> None:
        """And the changes after it, with the values before them."""
        store.create(POD, b"1")
        store.create("/gone", b"x")
        store.delete("/gone", 2)
        store.update(POD, b"2", 1)
        store.update(POD, b"3", 4)
        store.compact(4)
        assert store.compacted() == 4
        assert store.get(POD) == Record(POD, 5, b"3", 1)
        assert [(c.value, c.previous) for c in store.after(4)] == [(b"3", b"2")]
        assert [record.value for record in store.list("/", revision=4).records] == [b"2"]
        for refused in (lambda: store.after(3), lambda: store.list("/", revision=3)):
            with pytest.raises(errors.Gone, match=r"too old resource version: 3 \(4\)"):
                refused()

    def test_keys_live_on_after_compaction(self, store: Store) -> None:
        """A key whose whole past was forgotten can be created; one that exists cannot."""
        store.delete(POD, store.create(POD, b"1").revision)
        store.create("/kept", b"1")
        store.compact(store.current())
        assert store.create(POD, b"2").revision == 4
        with pytest.raises(errors.AlreadyExists):
            store.create("/kept", b"2")
        store.compact(store.current())
        assert [record.key for record in store.list("/").records] == ["/kept", POD]

    def test_compaction_never_goes_back_or_ahead(self, store: Store) -> None:
        """A smaller revision changes nothing; a larger one than the newest means the newest."""
        store.create(POD, b"1")
        store.compact(99)
        store.compact(0)
        assert (store.compacted(), store.current()) == (1, 1)

    def test_raising_the_revision_forgets_history(self, store: Store) -> None:
        """After a restore, clients that saw later revisions are told to list again, and none is given twice."""
        store.create(POD, b"1")
        store.raise_revision(1000)
        assert store.current() == 1000
        with pytest.raises(errors.Gone):
            store.after(1)
        assert store.update(POD, b"2", 1).revision == 1001
        assert store.get(POD) == Record(POD, 1001, b"2", 1)

    def test_raising_an_empty_log(self, store: Store) -> None:
        """It works before anything was written, too, and never lowers."""
        store.raise_revision(10)
        store.raise_revision(5)
        assert store.create(POD, b"1").revision == 11

    def test_any_text_is_a_key(self, store: Store) -> None:
        """Names are checked above the store."""
        for key in ("/p/ä", "/p/%", "/p/_", "/p/\U0001f427"):
            store.create(key, b"1")
        assert len(store.list("/p/").records) == 4
        assert [record.key for record in store.list("/p/%").records] == ["/p/%"]

    def test_closing_twice_is_harmless(self, store: Store) -> None:
        """Whoever cleans up need not ask."""
        store.close()
        store.close()


class DurableStoreConformance:
    """What a store that outlives its process promises besides."""

    def test_everything_is_there_after_reopening(self, store: Store, reopen: Callable[[], Store]) -> None:
        """Objects, history, and the revisions."""
        store.create(POD, b"1")
        store.update(POD, b"2", 1)
        store.compact(1)
        store.close()
        again = reopen()
        assert again.get(POD) == Record(POD, 2, b"2", 1)
        assert (again.current(), again.compacted()) == (2, 1)
        assert len(again.after(1)) == 1

    def test_a_number_is_never_used_twice(self, store: Store, reopen: Callable[[], Store]) -> None:
        """Not even that of a last write that was deleted and forgotten before a restart."""
        gone = store.delete(POD, store.create(POD, b"1").revision)
        store.compact(gone.revision)
        store.close()
        again = reopen()
        assert again.current() == gone.revision
        assert again.create(POD, b"2").revision == gone.revision + 1
