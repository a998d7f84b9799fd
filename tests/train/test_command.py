"""The command line's own manners: help, versions, unknown words."""

import subprocess
import sys

import rushlight as rl
from rushlight.train.command import COMMANDS, main


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    for name in COMMANDS:
        assert f"rushlight {name}" in overview
        assert main([name, "--help"]) == 0
        assert f"usage: rushlight {name}" in capsys.readouterr().out


def test_nothing_at_all_is_a_mistake(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().out


def test_an_unknown_command_names_the_nearest(capsys):
    assert main(["trian"]) == 2
    assert capsys.readouterr().err == "rushlight: unknown command 'trian'; did you mean 'train'?\n"


def test_wrong_options_of_predict_are_named(capsys):
    for words, message in (
        (["run"], "usage: rushlight predict CHECKPOINT IMAGE..."),
        (["run", "x", "--top", "many"], "--top: got 'many', expected a whole number"),
        (["run", "x", "--fast"], "unknown option '--fast' (known: --top N, --json)"),
        (["nowhere", "x"], "nowhere: no such checkpoint"),
    ):
        assert main(["predict", *words]) == 2
        assert message in capsys.readouterr().err


def test_the_module_is_the_command():
    words = [sys.executable, "-m", "rushlight", "--version"]
    result = subprocess.run(words, capture_output=True, text=True, check=True)
    assert result.stdout == f"rushlight {rl.__version__}\n"
