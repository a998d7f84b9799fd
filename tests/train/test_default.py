"""The default run learns the digits; every night also in the time that the README promises."""

import numpy
import pytest

from rushlight.train import fit

ENOUGH = 0.975
SECONDS = 90.0


def test_the_default_run_reads_held_out_digits(here):
    result = fit(quiet=True)
    assert result["run_folder"] == "runs/digits-convnet-001"
    assert result["test"]["samples"] == 360
    assert result["test"]["accuracy"] >= ENOUGH


@pytest.mark.nightly
def test_five_seeds_read_held_out_digits_on_average(here):
    results = [fit({"seed": seed, "output": f"run{seed}"}, quiet=True) for seed in range(5)]
    assert numpy.mean([result["test"]["accuracy"] for result in results]) >= ENOUGH
    assert max(result["training_seconds"] for result in results) < SECONDS
