"""The command line: `rushlight train`, `predict`, `run`, `coverage`, `doctor`.

What comes in: arguments. What goes out: an exit code: 0 when done, 2 for a mistake of the user's
(one line on standard error), 130 or 143 after Ctrl-C or SIGTERM. Invariant: a subcommand is one
row of the table, and its modules are imported only when it is called.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import NamedTuple

from .problems import Interrupted, RunError

__all__ = ["main"]

MISTAKE = 2
_OVERRIDE = re.compile(r"([A-Za-z_][\w.]*)=(.*)", re.DOTALL)


class Command(NamedTuple):
    """A subcommand: what it runs, how it is called, what it does in a line."""

    run: Callable[[list[str]], int]
    usage: str
    meaning: str


def _train(arguments: list[str]) -> int:
    """Run `rushlight train`."""
    from .session import fit

    config: str | None = None
    overrides: list[tuple[str, str]] = []
    for argument in arguments:
        match = _OVERRIDE.fullmatch(argument)
        if match:
            overrides.append((match[1], match[2]))
        elif argument.startswith("-"):
            raise RunError(f"unknown option {argument!r}; settings are written key=value")
        elif config is not None:
            raise RunError(f"two config files, {config!r} and {argument!r}; settings are key=value")
        else:
            config = argument
    fit(config, overrides)
    return 0


def _train_help() -> str:
    from .settings import describe

    return (
        "Train, evaluate and report an image classifier. With no argument it learns the\n"
        "handwritten digits that scikit-learn ships.\n\n"
        "CONFIG is a YAML or JSON file; key=value goes over it. The keys, with their defaults:\n"
        f"{describe()}\n\n"
        "data, model, loss, optimizer and schedule alone mean their first key:\n"
        "  rushlight train data=photos/ model=resnet18 epochs=10"
    )


def _predict(arguments: list[str]) -> int:
    """Run `rushlight predict`."""
    top, as_json, names = 5, False, []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--json":
            as_json = True
        elif argument == "--top" or argument.startswith("--top="):
            text = argument[6:] if "=" in argument else next(rest, "")
            if not text.isdigit() or int(text) < 1:
                raise RunError(f"--top: got {text!r}, expected a whole number of at least 1")
            top = int(text)
        elif argument.startswith("--"):
            raise RunError(f"unknown option {argument!r} (known: --top N, --json)")
        else:
            names.append(argument)
    if len(names) < 2:
        raise RunError(f"usage: rushlight predict {COMMANDS['predict'].usage}")
    from .predicting import Classifier

    answers = Classifier(names[0])(names[1:], top)
    if as_json:
        print(json.dumps(answers, ensure_ascii=False, indent=2))
    for answer in answers:
        if "error" in answer:
            print(f"rushlight: {answer['image']}: {answer['error']}", file=sys.stderr)
        elif not as_json:
            shown = (f"{item['class']} {item['probability']:.2%}" for item in answer["predictions"])
            print(f"{answer['image']}: {', '.join(shown)}")
    return MISTAKE if any("error" in answer for answer in answers) else 0


def _predict_help() -> str:
    return (
        "Classify images with the preprocessing and the class names of the run.\n\n"
        "CHECKPOINT is a checkpoint or a run folder, which means its best one.\n"
        "  --top N    show the N likeliest classes [5]\n"
        "  --json     print a JSON list instead of lines"
    )


def _doctor(arguments: list[str]) -> int:
    """Run `rushlight doctor`."""
    if arguments:
        raise RunError(f"doctor takes no argument, got {arguments[0]!r}")
    from .doctor import examine

    print(examine())
    return 0


def _doctor_help() -> str:
    return "Print versions, the processor and its features, threads and the cache of kernels."


def _run(arguments: list[str]) -> int:
    """Run `rushlight run`."""
    from rushlight.alias.run import run

    return run(arguments)


def _coverage(arguments: list[str]) -> int:
    """Run `rushlight coverage`."""
    from rushlight.alias.scan import coverage

    return coverage(arguments)


def _coverage_help() -> str:
    from rushlight.alias.scan import HELP

    return HELP


COMMANDS = {
    "train": Command(_train, "[CONFIG.yaml|CONFIG.json] [key=value ...]", "train a classifier"),
    "predict": Command(_predict, "CHECKPOINT IMAGE... [--top N] [--json]", "classify images"),
    "run": Command(
        _run, "SCRIPT.py [ARGS ...] | -m MODULE [ARGS ...]", "run a PyTorch program on rushlight"
    ),
    "coverage": Command(
        _coverage, "PATH [--all]", "list the torch names that a project uses and we lack"
    ),
    "doctor": Command(_doctor, "", "show versions, processor, threads, cache"),
}
_HELP = {
    "train": _train_help,
    "predict": _predict_help,
    "coverage": _coverage_help,
    "doctor": _doctor_help,
}
# What follows is the program's own: its options, its exit code, its errors.
_PROGRAMS = ("run",)


def _overview() -> str:
    lines = [f"  rushlight {name:<8} {row.meaning}" for name, row in COMMANDS.items()]
    return "\n".join(
        ["usage: rushlight COMMAND ...", "", *lines, "", "rushlight COMMAND --help says more"]
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if words else MISTAKE
    if words[0] == "--version":
        import rushlight

        print(f"rushlight {rushlight.__version__}")
        return 0
    name, rest = words[0], words[1:]
    if name in _PROGRAMS:
        return COMMANDS[name].run(rest)
    try:
        if name not in COMMANDS:
            from rushlight.models.registry import nearest

            raise RunError(f"unknown command {name!r}{nearest(name, COMMANDS)}")
        if any(word in ("-h", "--help") for word in rest):
            print(f"usage: rushlight {name} {COMMANDS[name].usage}\n\n{_HELP[name]()}")
            return 0
        return COMMANDS[name].run(rest)
    except RunError as error:
        print(f"rushlight: {error}", file=sys.stderr)
        return MISTAKE
    except Interrupted as interruption:
        print(f"rushlight: {interruption}", file=sys.stderr)
        return interruption.exit_code
    except KeyboardInterrupt:
        print("rushlight: stopped at once; the last checkpoint stands", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "rushlight":
            raise
        print(
            f'rushlight: {error.name} is not installed: pip install "rushlight[train]"',
            file=sys.stderr,
        )
        return MISTAKE
    except BrokenPipeError:
        return 141
