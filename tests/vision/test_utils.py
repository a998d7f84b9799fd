"""Grids: where each image stands, and what lies between."""

import numpy
import pytest
from PIL import Image

import rushlight as rl
from rushlight.vision import make_grid, save_image


def test_images_stand_in_rows_between_borders():
    batch = rl.arange(5, dtype=rl.float32).reshape(5, 1, 1, 1).expand(5, 1, 2, 3)
    grid = make_grid(batch, nrow=2, padding=1, pad_value=9.0).numpy()
    assert grid.shape == (3, 3 * 3 + 1, 2 * 4 + 1)
    assert (grid[0] == grid[2]).all()
    assert grid[0, 1:3, 1:4].tolist() == [[0.0] * 3] * 2
    assert grid[0, 1:3, 5:8].tolist() == [[1.0] * 3] * 2
    assert grid[0, 7:9, 1:4].tolist() == [[4.0] * 3] * 2
    assert (grid[:, ::3, :] == 9.0).all()
    assert (grid[:, :, ::4] == 9.0).all()
    assert (grid[:, 7:9, 5:8] == 9.0).all()


def test_a_single_image_stays_without_border():
    image = rl.rand(3, 4, 5)
    assert rl.equal(make_grid(image), image)


def test_normalising_uses_one_range_or_each_images_own():
    batch = rl.stack([rl.full((3, 2, 2), 1.0), rl.full((3, 2, 2), 3.0)])
    batch[:, :, 0, 0] = 0.0
    together = make_grid(batch, padding=0, normalize=True).numpy()
    assert together.max() == 1.0
    assert together[0, 1, 1] == pytest.approx(1 / 3)
    each = make_grid(batch, padding=0, normalize=True, scale_each=True).numpy()
    assert each[0, 1, 1] == each[0, 1, 3] == 1.0


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="tensor or list of tensors expected"):
        make_grid("picture")


def test_a_saved_grid_holds_the_rounded_bytes(tmp_path):
    save_image(rl.tensor([[[0.0, 0.5], [1.0, 2.0]]]), tmp_path / "grid.png")
    pixels = numpy.asarray(Image.open(tmp_path / "grid.png"))
    assert pixels[:, :, 0].tolist() == [[0, 128], [255, 255]]
