"""Summary of a comparison in sentences."""

from neocog.bundle.read import CARD, GRAPH, WEIGHTS
from neocog.reproduce.compare import Answers, Comparison, Weights


def page(found: Comparison) -> str:
    """The verdict first, then what differs and what was otherwise."""
    lines = [_verdict(found)]
    if not found.files[WEIGHTS]:
        lines.append(_weights(found.weights))
    if found.answers is not None:
        lines += _answers(found.answers)
    if found.causes:
        lines.append(f"made with {'; '.join(found.causes)}")
    elif not found.identical:
        lines.append(
            "made with the same data, params, code, libraries and threads: so the processor, or something random"
        )
    return "\n".join(lines)


def _verdict(found: Comparison) -> str:
    other = [name for name in (GRAPH, CARD) if not found.files[name]]
    if found.identical:
        return "identical: the weights are the same to the last bit" + (
            f"; {' and '.join(other)} differ{'s' if len(other) == 1 else ''}"
            if other
            else ", and so are graph and card"
        )
    if found.files[WEIGHTS]:
        return f"differs: the weights are the same to the last bit, but {GRAPH} answers otherwise"
    return "differs: the weights are not bit-identical"


def _weights(weights: Weights) -> str:
    if not weights.shapes:
        return "weights: tensors of other names or shapes"
    share = weights.changed / max(1, weights.values)
    return f"weights: {weights.changed:,} of {weights.values:,} values differ ({share:.1%}), by at most {weights.largest:.2g}"


def _answers(answers: Answers) -> list[str]:
    lines = [f"answers: the same on {answers.agreement:.2%} of {answers.images:,} test images"]
    lines += [f"  {name}: {was:.4f}, now {now:.4f} ({now - was:+.4f})" for name, (was, now) in answers.metrics.items()]
    return lines
