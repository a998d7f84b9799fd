"""Config files mean what they say, or are refused with the place of the mistake."""

import json

import pytest

from rushlight.train.config_file import dump_yaml, parse_yaml, read_config
from rushlight.train.problems import RunError
from rushlight.train.settings import Settings, resolve, to_dict


def test_yaml_and_json_say_the_same(tmp_path):
    values = {"epochs": 3, "optimizer": {"lr": 0.001}, "model": "lenet", "data": {"path": "花"}}
    (tmp_path / "a.yaml").write_text(dump_yaml(values), encoding="utf-8")
    (tmp_path / "a.json").write_text(json.dumps(values), encoding="utf-8")
    assert read_config(tmp_path / "a.yaml") == read_config(tmp_path / "a.json") == values


def test_resolved_settings_survive_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(to_dict(Settings())), encoding="utf-8")
    assert resolve([read_config(path)], []) == Settings()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e5", 100_000.0),
        (".5", 0.5),
        ("10", 10),
        ("-3", -3),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("true", True),
        ("null", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("0123", "0123"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    read = parse_yaml(f"x: {text}")["x"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "epochs: 1\nepochs: 2\n", "line 2: the key 'epochs' stands twice"),
        ("a.json", '{"epochs": 1, "epochs": 2}', "the key 'epochs' stands twice"),
        ("a.yaml", "epochs: [1\n", "line 2"),
        ("a.yaml", "- 1\n- 2\n", "expected keys and values, got list"),
        ("a.yaml", "1: 2\n", "the key 1 is not text"),
        ("a.json", "{", "Expecting"),
        ("a.yaml", "x: !!python/object/apply:os.system ['true']\n", "could not determine"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(RunError, match=message) as caught:
        read_config(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"none.yaml: no such config file"):
        read_config(tmp_path / "none.yaml")


def test_an_empty_file_says_nothing(tmp_path):
    (tmp_path / "a.yaml").write_text("# nothing yet\n")
    assert read_config(tmp_path / "a.yaml") == {}
