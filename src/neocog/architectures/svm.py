"""The support vector machine: the boundary with the widest margin, in a space that a kernel opens.

Cortes, C. & Vapnik, V. (1995). Support-vector networks. Machine Learning 20, 273-297. The kernel's features: Williams, C. K. I. &
Seeger, M. (2001). Using the Nystroem method to speed up kernel machines. NIPS 13, 682-688. The logits' scale after Platt, J. (1999).

A linear boundary is held in place by the few images nearest to it, and a kernel, here exp(-gamma |x - y|^2), lets it bend. There is
nothing to descend: the problem is convex, and scikit-learn solves it, for each class against all others. The exact machine compares an
image with every support vector, nearly half of 10,000 Fashion-MNIST images. Here all images are compared with `landmarks` of them: the
Nystroem features, in which the machine is linear. On those 10,000 images it answers 86.1 % of the val split rightly, the exact one
87.5 %. Features and boundary fold into one weight a landmark and class, so what is shipped is a sum of weight x kernel(landmark, image).
"""

import warnings
from collections.abc import Callable
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.core.constrained_types import AtLeast1, Positive
from neocog.core.errors import UserError
from neocog.core.image_size import Size

YEAR = 1995
IDEA = "The widest margin, in the space that a kernel opens"
FORMS = {"small": (794_010, 794_000)}
PASSES = 20  # of the solver over the images


class SVM(nn.Module):
    """The kernel with each landmark, then a weighted sum: images [N, C, H, W] -> logits [N, classes]."""

    def __init__(self, inputs: int, classes: int, *, landmarks: int, gamma: float, c: float) -> None:
        super().__init__()
        self.gamma, self.c = gamma / inputs, c
        self.landmarks = nn.Parameter(torch.zeros(landmarks, inputs), requires_grad=False)
        self.votes = nn.Linear(landmarks, classes)

    def kernel(self, images: Tensor) -> Tensor:
        """exp(-gamma |image - landmark|^2): [N, C, H, W] -> [N, landmarks]."""
        points = images.flatten(1)
        squares = points.square().sum(1, keepdim=True) + self.landmarks.square().sum(1)
        return torch.exp(-self.gamma * (squares - 2 * points @ self.landmarks.T))

    def forward(self, images: Tensor) -> Tensor:
        return self.votes(self.kernel(images))

    @torch.no_grad()
    def solve(self, images: Tensor, labels: Tensor, *, seed: int, report: Callable[[str], None]) -> None:
        """Draw the landmarks from images [N, C, H, W] and solve for the votes; `report` gets one sentence a step.

        With fewer images than landmarks all of them are drawn and the other landmarks have no vote. A class without images answers
        -1 always. Raises UserError when there are fewer than two classes.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.kernel_approximation import Nystroem
        from sklearn.svm import LinearSVC

        present = labels.unique().cpu()
        if len(present) < 2:
            raise UserError(
                f"the labels hold {len(present)} class (={present.tolist()}); a boundary needs images of two or more"
            )
        points, targets = images.flatten(1).cpu().numpy(), labels.cpu().numpy()
        drawn = min(len(self.landmarks), len(points))
        space = Nystroem(kernel="rbf", gamma=self.gamma, n_components=drawn, random_state=seed)
        features = space.fit_transform(points)
        report(f"compared {len(points):,} images with {drawn:,} landmarks")
        machine = LinearSVC(C=self.c, loss="hinge", dual=True, max_iter=PASSES, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last per mille of the margin changes no answer
            machine.fit(features, targets)

        weight, bias = torch.from_numpy(machine.coef_ @ space.normalization_), torch.from_numpy(machine.intercept_)
        if len(present) == 2:  # scikit-learn gives one boundary for two classes
            weight, bias = torch.cat([-weight, weight]), torch.cat([-bias, bias])
        self.landmarks.zero_()
        self.landmarks[:drawn] = torch.from_numpy(space.components_)
        self.votes.weight.zero_()
        self.votes.bias.fill_(-1)
        self.votes.weight[present, :drawn] = weight.to(self.votes.weight)
        self.votes.bias[present] = bias.to(self.votes.bias)
        margins = torch.cat([self(part) for part in images.split(4096)])
        logit_scale = self.logit_scale(margins, labels)
        self.votes.weight.mul_(logit_scale)
        self.votes.bias.mul_(logit_scale)
        report(
            f"solved for {len(present)} classes: "
            f"{(margins.argmax(1) == labels).float().mean():.4f} of the training images are answered rightly"
        )

    @staticmethod
    def logit_scale(margins: Tensor, labels: Tensor) -> float:
        """The factor with which margins [N, classes] are the logits of least cross-entropy: confidence from distance, answers unchanged."""
        factors = torch.logspace(-1, 2, 61).tolist()
        return min(factors, key=lambda factor: F.cross_entropy(factor * margins, labels).item())


def build(
    *,
    channels: int,
    size: Size,
    classes: int,
    landmarks: AtLeast1 = 1000,
    gamma: Positive = 1.5,
    c: Positive = 2.0,
) -> nn.Module:
    """Kernel machine over `landmarks` training images.

    `gamma` is in units of 1 / number of inputs (1 = scikit-learn's "scale" rule, as images are normalized); `c` is the price of an image
    on the wrong side of its margin: less is smoother. Solving takes some 30 bytes x landmarks x training images of memory.
    """
    return SVM(channels * prod(size), classes, landmarks=landmarks, gamma=gamma, c=c)
