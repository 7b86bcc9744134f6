"""Choose the way in which a network learns by the methods that it has."""

from torch import nn

from neocog.training.programs import auxiliary_heads, closed_form, learning_rule
from neocog.training.programs.supervised import Supervised


def of(network: nn.Module) -> Supervised:
    """The program of `network`."""
    if isinstance(network, closed_form.Network):
        return closed_form.ClosedForm()
    if isinstance(network, learning_rule.Network):
        return learning_rule.LearningRule()
    if isinstance(network, auxiliary_heads.Network):
        return auxiliary_heads.AuxiliaryHeads()
    return Supervised()
