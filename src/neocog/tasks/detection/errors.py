"""Types of a detector's errors: class, localization, both, duplicate, background, missed.

Bolya, D., Foley, S., Hays, J. & Hoffman, J. (2020). TIDE: a general toolbox for identifying object detection errors. ECCV.
arXiv:2008.08115.
"""

import numpy as np

from neocog.tasks.detection.average_precision import Objects, match
from neocog.tasks.detection.geometry import Numbers, iou

ERRORS = {
    "class": "a box at the right place, of another class",
    "localization": "a box of the right class that fits too badly",
    "both": "a box of another class that fits badly",
    "duplicate": "one more box of an object that is found already",
    "background": "a box where no object is",
    "missed": "an object without any box",
}
FITS, NEARBY = 0.5, 0.1  # IoU from which on a box fits, and is about an object at all


def error_types(answers: Numbers, targets: Numbers) -> dict[str, int]:
    """How often each of `ERRORS` occurs among answers [N, D, 6] about targets [N, M, 5]."""
    objects = Objects.of(answers, targets)
    matches = match(objects, ious=[FITS])
    counts = dict.fromkeys(ERRORS, 0)
    hit_objects = set(matches.partner[0][matches.hit[0]].tolist())
    touched = set(hit_objects)
    of_image = [np.flatnonzero(objects.object_image == image) for image in range(len(targets))]
    for wrong in np.flatnonzero(~matches.hit[0]).tolist():
        own = of_image[objects.image[wrong]]
        overlaps = iou(objects.box[wrong][None], objects.object_box[own])
        same = objects.object_label[own] == objects.label[wrong]
        best_same, best = overlaps[same].max(initial=0.0), overlaps.max(initial=0.0)
        if best_same >= FITS:  # the object is found by a surer one
            counts["duplicate"] += 1
        elif best_same >= NEARBY:
            counts["localization"] += 1
        elif best >= FITS:
            counts["class"] += 1
        elif best >= NEARBY:
            counts["both"] += 1
        else:
            counts["background"] += 1
            continue
        touched.add(int(own[overlaps.argmax()]))
    counts["missed"] = len(objects.object_label) - len(touched)
    return counts
