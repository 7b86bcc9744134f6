"""Input image of a verb: one of the prepared test images, or any picture in a file."""

from argparse import Namespace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.bundle.read import Bundle
from neocog.core.errors import UserError
from neocog.data.decoding.decode import decode
from neocog.data.prepared import read
from neocog.evaluation import predictions
from neocog.evaluation.preparation import preparation
from neocog.tasks.task import task

TRIED = 100  # test images among which to look for one that the model gets right

Subject = tuple[NDArray[np.uint8], str]  # uint8 [H, W, C], and where it comes from


def of(options: Namespace, bundle: Bundle) -> Subject:
    """The image that the options of `cli/options.py` name. Raises UserError."""
    return of_file(options.image, bundle) if options.image else of_sample(options.sample, bundle)


def of_file(path: Path, bundle: Bundle) -> Subject:
    """The picture in a file, made as the bundle's images were prepared. Raises UserError."""
    found = decode(path, **preparation(bundle))
    if found.pixels is None:
        raise UserError(f"--image {path}: {found.reason}; name a picture file")
    return found.pixels, path.name


def of_sample(number: int | None, bundle: Bundle, *, folder: Path | str = "data/prepared") -> Subject:
    """Test image `number` of the prepared data; without a number the first that the bundle gets right. Raises UserError."""
    prepared = read(folder)
    predictions.match(bundle, prepared)
    test, examples = prepared.split("test"), task(bundle.task).examples
    if number is None:
        outputs = predictions.outputs(bundle, test.images[:TRIED], batch_size=TRIED)
        number = int(examples.correct(outputs, test.targets[:TRIED]).argmax())
    if not 0 <= number < len(test.targets):
        raise UserError(f"--sample {number}: {prepared.folder} has test images 0 to {len(test.targets) - 1}")
    caption = examples.caption(test.targets[number], classes=prepared.classes)
    return test.images[number], f"{prepared.name} test image {number}, {caption}"
