"""Handles of hooks."""

import copy
import gc
from collections import OrderedDict

from rushlight.utils.hooks import RemovableHandle


def register(*dictionaries):
    handle = RemovableHandle(dictionaries[0], extra_dict=list(dictionaries[1:]))
    for dictionary in dictionaries:
        dictionary[handle.id] = print
    return handle


def test_remove_takes_the_entry_from_every_dictionary():
    """Twice is once, and other entries stay."""
    hooks, extra = OrderedDict(), OrderedDict()
    first, second = register(hooks, extra), register(hooks, extra)
    first.remove()
    first.remove()
    assert list(hooks) == list(extra) == [second.id]


def test_handle_is_a_context_manager():
    """The hook lasts as long as the block."""
    hooks = OrderedDict()
    with register(hooks):
        assert len(hooks) == 1
    assert not hooks


def test_handle_does_not_keep_its_dictionary_alive():
    """Removing after the owner is gone does nothing."""
    hooks = OrderedDict()
    handle = register(hooks)
    del hooks
    gc.collect()
    handle.remove()


def test_copied_handles_keep_their_id():
    """Owners are copied together with their hooks."""
    hooks = OrderedDict()
    handle = register(hooks)
    twin = copy.deepcopy(handle)
    assert twin.id == handle.id
    twin.remove()
    assert list(hooks) == [handle.id]
