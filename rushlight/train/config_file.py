"""Reading a config file: YAML or JSON in, a plain nested dict out.

Invariant: what the file says is what the dict holds: a key written twice is refused, `1e-3` is a
number (as in YAML 1.2), `yes` is text, and no tag of a YAML file ever builds an object.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from .problems import RunError

__all__ = ["dump_yaml", "parse_yaml", "read_config"]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, brought to YAML 1.2's scalars, refusing doubled keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            name = self.construct_object(key_node, deep=True)
            if not isinstance(name, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} is not text", key_node.start_mark
                )
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} stands twice", key_node.start_mark
                )
            seen.add(name)
        built: dict[Any, Any] = super().construct_mapping(node, deep)
        return built


# YAML 1.1 reads yes/no/on/off as truth values, 1:30 as 90, 010 as 8 and 1e-3 as text; nobody
# means that.
_SCALARS = {
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", "~nN\0"),
    "tag:yaml.org,2002:int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
}
_Loader.yaml_implicit_resolvers = {}
for _tag in ("bool", "null", "int", "float"):
    _pattern, _first = _SCALARS[f"tag:yaml.org,2002:{_tag}"]
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(f"^(?:{_pattern})$"),
        ["" if letter == "\0" else letter for letter in _first],
    )


def parse_yaml(text: str) -> Any:
    """Parse one YAML document of plain values; raises `yaml.YAMLError`."""
    return yaml.load(text, Loader=_Loader)


def dump_yaml(values: dict[str, Any]) -> str:
    """Write plain nested values as YAML, in the order of the dict."""
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
    return text


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {doubled!r} stands twice")
    return made


def read_config(path: Path) -> dict[str, Any]:
    """Read a `.json`, `.yaml` or `.yml` file; a `RunError` names the file and the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RunError(f"{path}: no such config file") from None
    except UnicodeDecodeError:
        raise RunError(f"{path}: not text in UTF-8") from None
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        if path.suffix.lower() == ".json":
            values = json.loads(text, object_pairs_hook=_no_doubles)
        else:
            values = parse_yaml(text)
    except yaml.YAMLError as error:
        raise RunError(f"{path}: {_where(error)}") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise RunError(f"{path}: expected keys and values, got {type(values).__name__}")
    return values


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    return reason if mark is None else f"line {mark.line + 1}: {reason}"
