"""The doctor says what a report of a problem needs."""

import importlib.metadata
import os

import rushlight as rl
from rushlight.train.command import main


def test_the_report_names_versions_processor_threads_and_cache(capsys):
    assert main(["doctor"]) == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    facts = {name: value.strip() for name, value in lines.items()}
    assert facts["rushlight"].startswith(f"{rl.__version__} (")
    assert facts["numpy"] == importlib.metadata.version("numpy")
    assert facts["llvmlite"] == importlib.metadata.version("llvmlite")
    assert facts["kernels for"] == rl.backends.cpu.get_cpu_capability()
    assert facts["threads"].startswith(f"{rl.get_num_threads()} of {len(os.sched_getaffinity(0))}")
    assert facts["kernel cache"].startswith(rl.backends.cpu.kernel_cache().directory)
    assert facts["processor"]
    assert facts["RUSHLIGHT_EAGER"].startswith("off (")


def test_doctor_takes_no_argument(capsys):
    assert main(["doctor", "me"]) == 2
    assert capsys.readouterr().err == "rushlight: doctor takes no argument, got 'me'\n"
