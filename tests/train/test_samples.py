"""Sources: what is listed, in which order, and which mistakes are named."""

import pytest
from PIL import Image

from rushlight.train.problems import RunError
from rushlight.train.samples import list_samples
from rushlight.train.settings import DataSettings


def _image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2)).save(path)


def test_the_digits_are_all_there():
    listing = list_samples(DataSettings())
    assert len(listing.samples) == 1797
    assert listing.classes == [str(digit) for digit in range(10)]
    assert listing.samples[0].pixels.max() == round(15 * 255 / 16)


def test_a_folder_of_class_folders(tmp_path):
    for name in ("b/2.png", "a/1.png", "a/sub/0.jpg", ".hidden/x.png", "b/.DS_Store.png"):
        _image(tmp_path / name)
    _image(tmp_path / "stray.png")
    (tmp_path / "a" / "notes.txt").write_text("x")
    listing = list_samples(DataSettings(path=str(tmp_path)))
    assert listing.classes == ["a", "b"]
    assert [(s.name.removeprefix(f"{tmp_path}/"), s.label) for s in listing.samples] == [
        ("a/1.png", 0),
        ("a/sub/0.jpg", 0),
        ("b/2.png", 1),
    ]
    assert {(p.name.removeprefix(f"{tmp_path}/"), p.reason) for p in listing.problems} == {
        ("stray.png", "missing label: the image lies outside of any class folder"),
        ("a/notes.txt", "not an image file by its name"),
    }


def test_a_folder_of_splits(tmp_path):
    for name in ("train/a/1.png", "train/b/1.png", "valid/a/2.png", "test/b/3.png"):
        _image(tmp_path / name)
    listing = list_samples(DataSettings(path=str(tmp_path)))
    assert listing.classes == ["a", "b"]
    assert [(s.label, s.split) for s in sorted(listing.samples)] == [
        (1, "test"),
        (0, "train"),
        (1, "train"),
        (0, "val"),
    ]


def test_a_csv_list_beside_its_images(tmp_path):
    _image(tmp_path / "images" / "1.png")
    path = tmp_path / "list.csv"
    path.write_text(
        "image,label,split\n1.png,10,train\n\n2.png,9,TEST\n3.png,,train\n4.png,9,later\n5.png,9,\n",
        encoding="utf-8-sig",
    )
    settings = DataSettings(path=str(path), images=str(tmp_path / "images"))
    listing = list_samples(settings)
    assert listing.classes == ["9", "10"]
    assert [(s.name.rpartition("/")[2], s.label, s.split) for s in listing.samples] == [
        ("1.png", 1, "train"),
        ("2.png", 0, "test"),
        ("5.png", 0, None),
    ]
    assert [p.reason for p in listing.problems] == [
        f"missing label ({path} line 5)",
        f"unknown split 'later' ({path} line 6); known: train, val, test",
    ]


def test_a_csv_list_may_do_without_a_header(tmp_path):
    (tmp_path / "list.csv").write_text("1.png,cat\n2.png,dog\n")
    listing = list_samples(DataSettings(path=str(tmp_path / "list.csv")))
    assert [sample.label for sample in listing.samples] == [0, 1]


def test_an_empty_class_folder_is_named(tmp_path):
    _image(tmp_path / "a" / "1.png")
    (tmp_path / "b").mkdir()
    with pytest.raises(RunError, match=r"/b: the class folder is empty"):
        list_samples(DataSettings(path=str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none", None, "does not exist"),
        ("x.txt", "hello", "neither a folder nor a .csv list"),
        ("x.csv", "", "the list is empty"),
        ("x.csv", "a;b\n", "line 1 must name the columns image,label"),
    ],
)
def test_a_path_of_no_known_kind_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(RunError, match=message):
        list_samples(DataSettings(path=str(tmp_path / name)))


def test_a_list_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "x.csv").write_bytes("image,label\n1.png,花\n".encode("gbk"))
    with pytest.raises(RunError, match=r"x.csv: not text in UTF-8"):
        list_samples(DataSettings(path=str(tmp_path / "x.csv")))
