"""Data sets and their combinations against torch.utils.data."""

import pytest

import rushlight as rl
from rushlight.utils import data
from rushlight.utils.data.dataset import describe_item


class Letters(data.Dataset):
    def __init__(self, text="abcdef"):
        self.text = text

    def __len__(self):
        return len(self.text)

    def __getitem__(self, index):
        return self.text[index]


class Stream(data.IterableDataset):
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))

    def __len__(self):
        return self.count


def test_dataset_without_getitem_says_so():
    """The base class has no items."""
    with pytest.raises(NotImplementedError, match="__getitem__"):
        data.Dataset()[0]


def test_tensor_dataset_slices_all_tensors():
    """An item is the slice of each tensor."""
    dataset = data.TensorDataset(rl.arange(6).reshape(3, 2), rl.arange(3))
    assert len(dataset) == 3
    first, second = dataset[1]
    assert first.tolist() == [2, 3]
    assert second.item() == 1
    with pytest.raises(AssertionError, match=r"Size mismatch.*\[3, 4\]"):
        data.TensorDataset(rl.zeros(3), rl.zeros(4))


def test_stack_dataset_as_tuple_and_dict():
    """Positional data sets give tuples, named ones dictionaries, one by one and in batches."""
    letters = Letters()
    pairs = data.StackDataset(letters, range(6))
    assert pairs[2] == ("c", 2)
    assert pairs.__getitems__([0, 5]) == [("a", 0), ("f", 5)]
    named = data.StackDataset(letter=data.Subset(letters, [5, 4]), number=[7, 8])
    assert named.__getitems__([1, 0]) == [
        {"letter": "e", "number": 8},
        {"letter": "f", "number": 7},
    ]
    assert len(named) == 2
    for wrong in ({"args": ([1], [1, 2])}, {"args": ()}, {"args": ([1],), "kwargs": {"x": [1]}}):
        with pytest.raises(ValueError):
            data.StackDataset(*wrong["args"], **wrong.get("kwargs", {}))


def test_concat_dataset_finds_the_owner():
    """Indices run on over all parts, from the end too."""
    both = Letters("ab") + Letters("cde")
    assert [both[index] for index in range(-5, 5)] == list("abcdeabcde")
    assert both.cumulative_sizes == [2, 5]
    with pytest.raises(ValueError, match="absolute value"):
        both[-6]
    with pytest.raises(IndexError, match="5"):
        both[5]
    with pytest.raises(AssertionError, match="empty"):
        data.ConcatDataset([])
    with pytest.raises(AssertionError, match="IterableDataset"):
        data.ConcatDataset([Stream(1)])


def test_chain_dataset_runs_through_all():
    """Iterable data sets follow one another."""
    chain = Stream(2) + Stream(1)
    assert list(chain) == [0, 1, 0]
    assert len(chain) == 3
    with pytest.raises(AssertionError, match="IterableDataset"):
        list(data.ChainDataset([Letters()]))


def test_subset_translates_indices_and_wants_both_methods():
    """Single items and batches go through the indices; half an override is refused."""
    subset = data.Subset(data.Subset(Letters(), [5, 3, 1]), [2, 0])
    assert list(subset) == ["b", "f"]
    assert subset.__getitems__([1, 0]) == ["f", "b"]

    class Half(data.Subset):
        def __getitem__(self, index):
            return None

    with pytest.raises(NotImplementedError, match="__getitems__"):
        Half(Letters(), [0])


@pytest.mark.parametrize("lengths", [[3, 7], [0.3, 0.3, 0.4], [0.5, 0.25, 0.25], [10]])
def test_random_split_draws_like_torch(lengths):
    """Same lengths and the same indices for the same seed."""
    torch = pytest.importorskip("torch")
    ours = data.random_split(range(10), lengths, rl.Generator().manual_seed(7))
    theirs = torch.utils.data.random_split(range(10), lengths, torch.Generator().manual_seed(7))
    assert [part.indices for part in ours] == [part.indices for part in theirs]


def test_random_split_uses_the_default_generator():
    """Without a generator the default one is used, and goes on."""
    rl.manual_seed(3)
    first = [part.indices for part in data.random_split(range(20), [10, 10])]
    second = [part.indices for part in data.random_split(range(20), [10, 10])]
    rl.manual_seed(3)
    again = [part.indices for part in data.random_split(range(20), [10, 10])]
    assert first == again
    assert first != second


def test_random_split_refuses_wrong_lengths():
    """A wrong sum or fraction is an error, an empty part a warning."""
    with pytest.raises(ValueError, match="sums to 9"):
        data.random_split(range(10), [4, 5])
    with pytest.raises(ValueError, match="index 0"):
        data.random_split(range(10), [-0.5, 1.5])
    with pytest.warns(UserWarning, match="index 1 is 0"):
        data.random_split(range(1), [0.5, 0.5])


def test_describe_item_names_the_file():
    """The file comes from `path` or `samples`, through subsets and concatenations."""

    class Files(Letters):
        samples = (("one.png", 0), ("two.png", 1))

    class Paths(Letters):
        def path(self, index):
            return f"folder/{index}.png"

    assert describe_item(Files("xy"), 1) == "item 1 (file two.png)"
    combined = data.Subset(Paths("abc") + Files("xy"), [4, 2])
    assert describe_item(combined, 0) == "item 0 (file two.png)"
    assert describe_item(combined, 1) == "item 1 (file folder/2.png)"
    assert describe_item(Letters(), 3) == "item 3"
    assert describe_item(Files("xy"), 99) == "item 99"
