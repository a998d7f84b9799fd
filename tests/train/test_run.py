"""Whole runs on real images: what they leave behind, how they resume, how they fail."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy
import pytest
from PIL import Image
from safetensors.numpy import load_file

from rushlight.train import Classifier, Interrupted, RunError, fit, session, trainer
from rushlight.train.command import main
from rushlight.train.trainer import Trainer

SMALL = {
    "model": {"name": "convnet", "options": {"widths": [4, 8], "depth": 1, "dropout": 0.2}},
    "data.image_size": 16,
    "batch_size": 4,
    "epochs": 2,
    "optimizer.lr": 0.02,
}


def _weights(folder):
    return load_file(folder / "last.safetensors")


def _same_weights(one, two):
    return one.keys() == two.keys() and all((one[name] == two[name]).all() for name in one)


def test_a_run_leaves_everything_it_promises(make_photos, here):
    photos = make_photos(10)
    (photos / "china" / "bad.png").write_bytes(b"")
    result = fit(
        {**SMALL, "data.path": "photos", "data.on_error": "skip", "output": "run"}, quiet=True
    )
    run = here / "run"
    names = {path.name for path in run.iterdir()}
    assert names == {
        "best.safetensors",
        "config.yaml",
        "confusion_matrix.png",
        "events",
        "last.safetensors",
        "learning_curves.png",
        "metrics.csv",
        "samples.png",
        "set_aside.csv",
        "summary.json",
    }
    with open(run / "metrics.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row["val_loss"]) > 0 for row in rows)
    assert json.loads((run / "summary.json").read_text()) == result
    assert result["samples"] == {"train": 14, "val": 2, "test": 4}
    assert result["set_aside"] == 1
    assert sum(row["support"] for row in result["per_class"]) == 4
    assert result["peak_memory_bytes"] > 10**6
    for name in ("confusion_matrix", "learning_curves", "samples"):
        with Image.open(run / f"{name}.png") as picture:
            assert min(picture.size) > 400
            assert len(picture.convert("RGB").resize((64, 64)).getcolors(4096)) > 16


def test_events_hold_each_epochs_figures(make_photos, here, without_pictures):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    make_photos(6)
    result = fit({**SMALL, "data": "photos", "output": "run"}, quiet=True)
    events = EventAccumulator(str(here / "run" / "events")).Reload()
    assert {"loss/train", "loss/val", "accuracy/train", "accuracy/val", "lr"} <= set(
        events.Tags()["scalars"]
    )
    values = {event.step: event.value for event in events.Scalars("accuracy/val")}
    assert values[result["best_epoch"]] == pytest.approx(result["validation"]["accuracy"])


def test_prediction_is_evaluation(make_photos, here, without_pictures):
    photos = make_photos(10)
    result = fit(
        {**SMALL, "data": "photos", "data.test_fraction": 0.3, "output": "run"}, quiet=True
    )
    classify = Classifier(here / "run")
    files = sorted(photos.rglob("*.??g"))
    answers = classify(files)
    assert all({row["class"] for row in a["predictions"]} == {"china", "flower"} for a in answers)
    assert sum(row["probability"] for row in answers[0]["predictions"]) == pytest.approx(
        1, abs=1e-5
    )
    from rushlight.train.samples import list_samples
    from rushlight.train.settings import resolve
    from rushlight.train.splits import divide

    settings = resolve([{"data": {"path": "photos", "test_fraction": 0.3}}], [])
    test = divide(list_samples(settings.data).samples, 2, 0.1, 0.3, 0).test
    said = {a["image"]: a["predictions"][0]["class"] for a in answers}
    right = sum(said[str(here / s.name)] == classify.classes[s.label] for s in test)
    assert right == result["test"]["correct"]


@pytest.fixture
def without_pictures(monkeypatch):
    """Drawing takes most of the time of a small run; tests of its weights do without."""
    monkeypatch.setattr(session, "draw_pictures", lambda *_: [])


class _Killed(BaseException):
    """Stands for SIGKILL: nothing in the project catches it."""


@pytest.mark.parametrize("kill_at", range(1, 7))
def test_a_run_killed_at_any_step_ends_with_the_same_weights(
    make_photos, here, without_pictures, monkeypatch, kill_at
):
    make_photos(8)
    settings = {**SMALL, "data": "photos", "checkpoint.every_seconds": 0.0}
    fit({**settings, "output": "whole"}, quiet=True)
    step, steps = Trainer._train_step, []

    def killed_step(self, images, labels):
        steps.append(1)
        if len(steps) == kill_at:
            raise _Killed
        step(self, images, labels)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_step", killed_step)
        with pytest.raises(_Killed):
            fit({**settings, "output": "cut"}, quiet=True)
    fit({**settings, "output": "cut", "resume": "auto"}, quiet=True)
    assert _same_weights(_weights(here / "whole"), _weights(here / "cut"))
    ours, theirs = (
        json.loads((here / name / "summary.json").read_text()) for name in ("cut", "whole")
    )
    for figure in ("test", "validation", "train", "best_epoch", "per_class"):
        assert ours[figure] == theirs[figure]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_saves_and_says_how_to_go_on(
    make_photos, here, without_pictures, monkeypatch, capsys, number
):
    make_photos(8)
    step, steps = Trainer._train_step, []

    def interrupted_step(self, images, labels):
        steps.append(1)
        if len(steps) == 2:
            os.kill(os.getpid(), number)
        step(self, images, labels)

    words = ["train", "data=photos", "output=run", "model.options.widths=[4,8]", "epochs=2",
             "data.image_size=16", "batch_size=4"]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_step", interrupted_step)
        assert main(words) == 128 + number
    assert len(steps) == 2
    command = capsys.readouterr().err.strip().rpartition("to go on: rushlight ")[2]
    assert command == "train run/config.yaml resume=auto"
    assert main(command.split()) == 0
    assert "resuming at epoch 1, step 3" in capsys.readouterr().out
    assert (here / "run" / "summary.json").exists()


def test_a_signal_while_validating_resumes_with_the_validation(
    make_photos, here, monkeypatch, without_pictures
):
    make_photos(8)
    settings = {**SMALL, "data": "photos"}
    fit({**settings, "output": "whole"}, quiet=True)
    evaluate = trainer.evaluate

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "evaluate", interrupted)
        with pytest.raises(Interrupted):
            fit({**settings, "output": "cut"}, quiet=True)
    assert not (here / "cut" / "metrics.csv").exists()
    fit({**settings, "output": "cut", "resume": "auto"}, quiet=True)
    assert _same_weights(_weights(here / "whole"), _weights(here / "cut"))


def test_resume_finds_the_last_unfinished_run_by_itself(
    make_photos, here, without_pictures, monkeypatch
):
    make_photos(6)
    settings = {**SMALL, "data": "photos"}
    fit(settings, quiet=True)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_finish_epoch", lambda *_: os.kill(os.getpid(), 15))
        with pytest.raises(Interrupted):
            fit({**settings, "checkpoint.every_seconds": 0.0}, quiet=True)
    result = fit({**settings, "resume": "auto"}, quiet=True)
    assert result["run_folder"] == "runs/photos-convnet-002"
    assert (
        fit({**settings, "resume": "auto"}, quiet=True)["run_folder"] == "runs/photos-convnet-003"
    )


def test_a_finished_folder_is_not_trained_over(make_photos, here, without_pictures):
    make_photos(6)
    settings = {**SMALL, "data": "photos", "output": "run", "epochs": 1}
    fit(settings, quiet=True)
    with pytest.raises(RunError, match="output: run already holds a run; resume=auto goes on"):
        fit(settings, quiet=True)
    with pytest.raises(RunError, match="belongs to a run with epochs=1, not 2"):
        fit({**settings, "epochs": 2, "resume": "auto"}, quiet=True)


def test_a_run_can_go_on_in_another_folder(make_photos, here, without_pictures):
    make_photos(6)
    settings = {**SMALL, "data": "photos", "epochs": 2}
    fit({**settings, "output": "old"}, quiet=True)
    stored = here / "old" / "last.safetensors"
    result = fit({**settings, "output": "new", "resume": stored}, quiet=True)
    assert result["run_folder"] == "new"
    assert result["epochs"] == 2
    assert (here / "new" / "summary.json").exists()


def test_early_stopping_waits_for_its_patience(make_photos, here, without_pictures):
    make_photos(8)
    settings = {**SMALL, "data": "photos", "epochs": 30, "optimizer.lr": 0.0, "output": "run"}
    result = fit({**settings, "early_stop": {"patience": 2}}, quiet=True)
    with open(here / "run" / "metrics.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    losses = [float(row["val_loss"]) for row in rows]
    accuracies = [float(row["val_accuracy"]) for row in rows]
    progress = max(losses.index(min(losses)), accuracies.index(max(accuracies)))
    assert result["epochs"] == len(rows) == progress + 1 + 2 < 30


def test_a_loss_that_is_no_number_ends_the_run_in_one_line(make_photos, here, capsys):
    make_photos(8)
    words = [
        "train",
        "data=photos",
        "output=run",
        "model.options.widths=[4,8]",
        "data.image_size=16",
    ]
    assert main([*words, "batch_size=4", "optimizer.lr=1e30"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rushlight: the ")
    assert "loss is" in error
    assert "lower optimizer.lr (now 1e+30)" in error
    assert error.count("\n") == 1


MISTAKES = {
    "unknown model": (["model=resnet81"], "model.name: unknown model 'resnet81'"),
    "unknown key": (["epohcs=3"], "unknown key 'epohcs'; did you mean 'epochs'?"),
    "missing data": (["data=nowhere"], "data.path: nowhere does not exist"),
    "missing config": (["none.yaml"], "none.yaml: no such config file"),
    "unknown device": (["device=quantum"], "device: 'quantum' cannot be used"),
    "folder under a file": (["output=file/run"], "output: file/run cannot be made"),
    "truncated checkpoint": (["resume=cut"], "cut: truncated or damaged checkpoint"),
    "unknown option": (["--fast"], "unknown option '--fast'"),
    "empty class": (["data=photos2"], "photos2/empty: the class folder is empty"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_exit_code_2_and_nothing_written(make_photos, here, capsys, name):
    make_photos(4)
    make_photos(2, "photos2")
    (here / "photos2" / "empty").mkdir()
    (here / "file").write_text("")
    (here / "cut").write_bytes(b"\x20\0\0\0\0\0\0\0{")
    before = sorted(here.rglob("*"))
    words, message = MISTAKES[name]
    data = [] if any(word.startswith("data=") for word in words) else ["data=photos"]
    assert main(["train", *data, *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("rushlight: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert sorted(here.rglob("*")) == before


def test_predict_answers_in_lines_and_in_json(make_photos, here, without_pictures, capsys):
    photos = make_photos(6)
    fit({**SMALL, "data": "photos", "output": "run"}, quiet=True)
    (here / "bad.png").write_bytes(b"oops")
    good = str(photos / "china" / "00.jpg")
    assert main(["predict", "run", good, "--top", "1"]) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{good}: ")
    assert line.rstrip().endswith("%")
    assert main(["predict", "run/last.safetensors", good, "bad.png", "--json"]) == 2
    captured = capsys.readouterr()
    answers = json.loads(captured.out)
    assert len(answers[0]["predictions"]) == 2
    assert answers[1] == {"image": "bad.png", "error": "not an image file"}
    assert captured.err == "rushlight: bad.png: not an image file\n"


def test_a_csv_list_is_trained_on(make_photos, here, without_pictures):
    photos = make_photos(8)
    names = [f"{path.parent.name}/{path.name}" for path in sorted(photos.rglob("*.??g"))]
    lines = [
        f"{name},{name.partition('/')[0]},{'test' if n % 4 == 0 else 'train'}"
        for n, name in enumerate(names)
    ]
    (photos / "list.csv").write_text("\n".join(["image,label,split", *lines]))
    result = fit({**SMALL, "data": "photos/list.csv", "output": "run", "epochs": 1}, quiet=True)
    assert result["samples"]["test"] == 4
    assert result["classes"] == ["china", "flower"]


def test_workers_change_nothing(make_photos, here, without_pictures):
    make_photos(8)
    settings = {**SMALL, "data": "photos", "epochs": 1}
    fit({**settings, "output": "alone"}, quiet=True)
    fit({**settings, "output": "helped", "data.workers": 2}, quiet=True)
    assert _same_weights(_weights(here / "alone"), _weights(here / "helped"))


def test_a_run_killed_for_real_resumes_to_the_same_weights(make_photos, here):
    make_photos(12)
    words = [sys.executable, "-m", "rushlight", "train", "data=photos", "data.image_size=16",
             "model.options.widths=[4,8]", "batch_size=4", "epochs=3",
             "checkpoint.every_seconds=0"]  # fmt: skip
    subprocess.run([*words, "output=whole"], check=True, capture_output=True)
    process = subprocess.Popen([*words, "output=cut"], stdout=subprocess.DEVNULL)
    last = here / "cut" / "last.safetensors"
    deadline = time.monotonic() + 120
    while not last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (here / "cut" / "summary.json").exists()
    subprocess.run([*words, "output=cut", "resume=auto"], check=True, capture_output=True)
    assert _same_weights(_weights(here / "whole"), _weights(here / "cut"))


def test_class_names_in_chinese_are_drawn_or_numbered(make_photos, here):
    from rushlight.train.fonts import families_for

    photos = make_photos(6)
    (photos / "china").rename(photos / "中国")
    result = fit({**SMALL, "data": "photos", "output": "run", "epochs": 1}, quiet=True)
    assert result["classes"] == ["flower", "中国"]
    _, missing = families_for(["中国"])
    assert missing in (set(), {"中", "国"})
    assert families_for(["plain"]) == (["DejaVu Sans"], set())


def test_samples_of_the_sheet_show_mistakes_first():
    from rushlight.train.evaluation import Evaluation
    from rushlight.train.pictures import _chosen

    probabilities = numpy.tile([0.9, 0.1], (100, 1))
    labels = numpy.array([0] * 60 + [1] * 40)
    chosen, mistakes = _chosen(Evaluation(0.1, probabilities, labels))
    assert mistakes == 16
    assert (labels[chosen[:16]] == 1).all()
    assert (labels[chosen[16:]] == 0).all()
    assert len(chosen) == 32
