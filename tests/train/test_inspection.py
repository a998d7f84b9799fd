"""Bad samples are found before training, named by stop and set aside by skip."""

import csv
import io

import numpy
import pytest
from PIL import Image

from rushlight.train.inspection import inspect, report_of_problems
from rushlight.train.problems import RunError
from rushlight.train.samples import list_samples
from rushlight.train.settings import DataSettings


def _inspect(path, on_error="skip", **more):
    settings = DataSettings(path=str(path), on_error=on_error, **more)
    return inspect(list_samples(settings), settings, 3, lambda items, total: items)


def _names(problems, root):
    return {problem.name.removeprefix(f"{root}/"): problem.reason for problem in problems}


def test_a_clean_folder_has_no_problem(make_photos):
    samples, problems = _inspect(make_photos(3), "stop")
    assert (len(samples), problems) == (6, [])


def test_every_kind_of_bad_file_is_named(make_photos):
    root = make_photos(4)
    china = root / "china"
    (china / "empty.png").write_bytes(b"")
    (china / "text.jpg").write_text("no image")
    content = (china / "01.png").read_bytes()
    (china / "cut.png").write_bytes(content[: len(content) // 2])
    Image.new("RGB", (400, 300)).save(china / "huge.png")
    Image.fromarray(numpy.full((4, 4), 9000, dtype=numpy.uint16)).save(china / "deep.png")
    (china / "copy.png").write_bytes(content)
    (root / "stray.jpg").write_bytes(content)
    samples, problems = _inspect(root, max_pixels=100_000)
    assert len(samples) == 8
    named = _names(problems, root)
    assert named["china/empty.png"] == "an empty file"
    assert named["china/text.jpg"] == "not an image file"
    assert named["china/cut.png"].startswith("cannot be decoded")
    assert "more than the limit of 100000" in named["china/huge.png"]
    assert "8 bits would clip it" in named["china/deep.png"]
    assert named["china/copy.png"] == f"duplicate: the same picture as {china}/01.png"
    assert named["stray.jpg"].startswith("missing label")
    assert len(named) == 7
    with pytest.raises(RunError) as caught:
        _inspect(root, "stop", max_pixels=100_000)
    assert all(name in str(caught.value) for name in named)
    assert str(caught.value).startswith("7 bad samples")


def test_one_bad_file_is_one_line(make_photos):
    root = make_photos(3)
    (root / "china" / "bad.png").write_bytes(b"")
    with pytest.raises(RunError) as caught:
        _inspect(root, "stop")
    assert "\n" not in str(caught.value)
    assert "china/bad.png: an empty file" in str(caught.value)


def test_a_picture_under_two_labels_is_set_aside_under_both(make_photos):
    root = make_photos(3)
    (root / "flower" / "same.png").write_bytes((root / "china" / "01.png").read_bytes())
    samples, problems = _inspect(root)
    assert len(samples) == 5
    assert set(_names(problems, root)) == {"china/01.png", "flower/same.png"}
    assert all("several labels (china, flower)" in problem.reason for problem in problems)


def test_duplicates_across_given_splits_leave_the_training_split(make_photos, here):
    root = make_photos(4)
    (root / "test.png").write_bytes((root / "china" / "01.png").read_bytes())
    rows = [
        f"{name}/{n:02d}.{'png' if n % 2 else 'jpg'},{name},train"
        for name in ("china", "flower")
        for n in range(4)
    ]
    rows += ["test.png,china,test", "china/01.png,china,train"]
    (root / "list.csv").write_text("\n".join(["image,label,split", *rows]))
    samples, problems = _inspect(root / "list.csv")
    assert _names(problems, root) == {
        "china/01.png": f"duplicate across splits: the same picture as {root}/test.png"
    }
    assert len(problems) == 2
    assert [sample.name for sample in samples if sample.split == "test"] == [f"{root}/test.png"]


def test_a_class_that_loses_its_last_image_is_named(make_photos):
    root = make_photos(2)
    for path in (root / "flower").iterdir():
        path.write_bytes(b"")
    with pytest.raises(RunError, match="class 'flower' of photos has no usable image"):
        _inspect(root)


def test_one_class_is_not_enough(make_photos):
    root = make_photos(2)
    for path in (root / "flower").iterdir():
        path.unlink()
    (root / "flower").rmdir()
    with pytest.raises(RunError, match=r"photos has one class \(china\); at least 2 are needed"):
        _inspect(root)


def test_the_report_can_be_read_back(make_photos):
    root = make_photos(2)
    (root / "china" / 'odd, "name".png').write_bytes(b"")
    _, problems = _inspect(root)
    rows = list(csv.reader(io.StringIO(report_of_problems(problems))))
    assert rows == [["file", "reason"], [f'{root}/china/odd, "name".png', "an empty file"]]
