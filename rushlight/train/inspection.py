"""Looking at every sample before the first step, so that no run dies of one bad file.

What comes in: a listing. What goes out: the samples that can be used, and the problems of those
that cannot. Invariant: after it, every sample decodes, no picture stands in two splits, and no
picture carries two labels.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from rushlight.vision.images import ImageProblem, read_image

from .problems import RunError
from .samples import Listing, Problem, Sample
from .settings import DataSettings

__all__ = ["inspect", "open_sample", "report_of_problems"]


def open_sample(sample: Sample, channels: int, max_pixels: int) -> Image.Image:
    """Decode one sample as grey (1) or colour (3); `ImageProblem` names a file that refuses."""
    mode = {1: "L", 3: "RGB"}[channels]
    if sample.pixels is not None:
        return Image.fromarray(sample.pixels).convert(mode)
    return read_image(sample.name, mode, max_pixels)


def _digest(sample: Sample, channels: int, max_pixels: int) -> str | Problem:
    """The fingerprint of the decoded picture: equal for two files of equal pixels."""
    try:
        image = open_sample(sample, channels, max_pixels)
    except ImageProblem as problem:
        return Problem(sample.name, problem.reason)
    content = hashlib.sha256(repr(image.size).encode())
    content.update(image.tobytes())
    return content.hexdigest()


def inspect(
    listing: Listing,
    settings: DataSettings,
    channels: int,
    watch: Callable[[Iterable[str | Problem], int], Iterable[str | Problem]],
) -> tuple[list[Sample], list[Problem]]:
    """Decode every sample and compare the pictures; `watch` wraps the loop to show progress.

    With `data.on_error=stop` any problem raises a `RunError` that names each file; with `skip` the
    problems are returned. A class that loses its last sample is an error either way.
    """
    samples, problems = listing.samples, list(listing.problems)
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda item: _digest(item, channels, settings.max_pixels), samples)
        digests = list(watch(found, len(samples)))
    good: list[tuple[Sample, str]] = []
    for sample, digest in zip(samples, digests, strict=True):
        if isinstance(digest, Problem):
            problems.append(digest)
        else:
            good.append((sample, digest))
    kept, doubles = _without_doubles(good, listing.classes)
    problems += doubles
    if problems and settings.on_error == "stop":
        raise RunError(_stop_message(problems))
    _check_classes(listing, kept)
    return kept, problems


def _without_doubles(
    good: list[tuple[Sample, str]], classes: list[str]
) -> tuple[list[Sample], list[Problem]]:
    """Set aside pictures with two labels, and all but one of those that could leak between splits.

    A picture may repeat inside one split that the data set itself gives. Elsewhere repeats are set
    aside, keeping the copy in the test split first, then validation, so that the held-out samples
    stay whole. Where we draw the split, two copies could end on both sides, so one is kept.
    """
    groups: dict[str, list[Sample]] = {}
    for sample, digest in good:
        groups.setdefault(digest, []).append(sample)
    bad: dict[int, Problem] = {}
    order = {"test": 0, "val": 1, "train": 2, None: 3}
    for group in groups.values():
        labels = {sample.label for sample in group}
        if len(labels) > 1:
            names = ", ".join(classes[label] for label in sorted(labels))
            for sample in group:
                other = next(item for item in group if item.label != sample.label)
                reason = f"one picture with several labels ({names}): same as {other.name}"
                bad[id(sample)] = Problem(sample.name, reason)
            continue
        keeper = min(group, key=lambda sample: order[sample.split])
        for sample in group:
            if sample is not keeper and (sample.split is None or sample.split != keeper.split):
                kind = "duplicate across splits" if sample.split else "duplicate"
                bad[id(sample)] = Problem(sample.name, f"{kind}: the same picture as {keeper.name}")
    kept = [sample for sample, _ in good if id(sample) not in bad]
    return kept, [bad[id(sample)] for sample, _ in good if id(sample) in bad]


def _stop_message(problems: list[Problem]) -> str:
    """Name each file; one problem stays on one line."""
    count = f"{len(problems)} bad sample{'s' if len(problems) > 1 else ''}"
    hint = "data.on_error=skip sets them aside"
    if len(problems) == 1:
        return f"{count}: {problems[0].name}: {problems[0].reason} ({hint})"
    lines = [f"  {problem.name}: {problem.reason}" for problem in problems]
    return "\n".join([f"{count} ({hint}):", *lines])


def _check_classes(listing: Listing, kept: list[Sample]) -> None:
    present = {sample.label for sample in kept}
    if len(listing.classes) < 2:
        names = ", ".join(listing.classes) or "none"
        raise RunError(f"data.path: {listing.title} has one class ({names}); at least 2 are needed")
    for label, name in enumerate(listing.classes):
        if label not in present:
            raise RunError(f"data.path: class {name!r} of {listing.title} has no usable image")


def report_of_problems(problems: list[Problem]) -> str:
    """The samples that were set aside, as CSV text: file, reason."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("file", "reason"))
    writer.writerows(problems)
    return stream.getvalue()
