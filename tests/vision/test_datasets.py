"""Folders of images: order, names, and errors as torchvision has them."""

import pickle

import pytest
from PIL import Image

import rushlight as rl
from rushlight.vision import ImageFolder, ImageProblem, transforms


@pytest.fixture
def root(tmp_path):
    for name, colours in {"dog": ("red", "green"), "cat": ("blue",)}.items():
        (tmp_path / name / "inner").mkdir(parents=True)
        for number, colour in enumerate(colours):
            Image.new("RGB", (4, 3), colour).save(tmp_path / name / f"{number}.png")
    Image.new("RGB", (4, 3), "white").save(tmp_path / "dog" / "inner" / "a.JPG", format="JPEG")
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    return tmp_path


def test_classes_and_samples_stand_in_the_order_of_names(root):
    data = ImageFolder(root)
    assert data.classes == ["cat", "dog"]
    assert data.class_to_idx == {"cat": 0, "dog": 1}
    assert [path.removeprefix(f"{root}/") for path, _ in data.samples] == [
        "cat/0.png",
        "dog/0.png",
        "dog/1.png",
        "dog/inner/a.JPG",
    ]
    assert data.targets == [0, 1, 1, 1]


def test_items_pass_through_both_transforms(root):
    data = ImageFolder(root, transforms.ToTensor(), target_transform=lambda label: label + 10)
    image, label = data[0]
    assert (tuple(image.shape), label) == ((3, 3, 4), 10)
    assert image[:, 0, 0].tolist() == [0.0, 0.0, 1.0]


def test_a_class_without_images_is_named(root):
    (root / "fox").mkdir()
    with pytest.raises(FileNotFoundError, match="Found no valid file for the classes fox"):
        ImageFolder(root)
    assert len(ImageFolder(root, allow_empty=True)) == 4


def test_a_damaged_file_names_itself_and_crosses_processes(root):
    (root / "cat" / "0.png").write_bytes(b"oops")
    with pytest.raises(ImageProblem, match="cat/0.png: not an image file") as caught:
        ImageFolder(root)[0]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_loader_makes_batches_of_it(root):
    steps = transforms.Compose([transforms.Resize((2, 2)), transforms.ToTensor()])
    loader = rl.utils.data.DataLoader(ImageFolder(root, steps), batch_size=3)
    assert [tuple(images.shape) for images, _ in loader] == [(3, 3, 2, 2), (1, 3, 2, 2)]
