"""Choose the way in which a network learns by the methods that it has."""

from torch import nn

from neocog.training.programs import auxiliary_heads, closed_form, learning_rule
from neocog.training.programs.supervised import SupervisedLearning


def of(network: nn.Module) -> SupervisedLearning:
    """The program of `network`."""
    if isinstance(network, closed_form.SupportsClosedForm):
        return closed_form.ClosedForm()
    if isinstance(network, learning_rule.SupportsLearningRule):
        return learning_rule.LearningRule()
    if isinstance(network, auxiliary_heads.SupportsAuxiliaryHeads):
        return auxiliary_heads.AuxiliaryHeads()
    return SupervisedLearning()
