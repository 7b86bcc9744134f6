"""Rebuild a bundle's PyTorch network, without pickle."""

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from neocog import architectures
from neocog.bundle import sparse
from neocog.bundle.read import WEIGHTS, Bundle
from neocog.bundle.widths import narrow
from neocog.core.errors import UserError


def rebuild(bundle: Bundle) -> nn.Module:
    """The network of `bundle` in evaluation mode: normalized images float [N, C, H, W] -> outputs [N, ...] before decoding.

    Raises UserError when the weights are not a safetensors file or do not fit the architecture.
    """
    model: nn.Module = architectures.build(
        bundle.architecture,
        channels=bundle.channels,
        size=bundle.size,
        classes=len(bundle.classes),
        sizes=architectures.empty(bundle.architecture, bundle.card["build"]["sizes"]),
    )
    if hasattr(model, "drop_auxiliary"):
        model.drop_auxiliary()  # type: ignore[operator]
    try:
        tensors = {name: torch.from_numpy(values) for name, values in sparse.load(bundle.folder / WEIGHTS).items()}
        narrow(model, bundle.card["build"].get("widths", {}), tensors)
        model.load_state_dict(tensors)
    except (SafetensorError, RuntimeError) as error:
        raise UserError(
            f"{bundle.folder / WEIGHTS} does not hold the weights of {bundle.model}: {str(error).splitlines()[0]}"
        ) from error
    bundle.check(WEIGHTS)
    return model.eval()


class GraphNetwork(nn.Module):
    """A bundle's graph in ONNX Runtime as a network, without gradients: images float [N, C, H, W], normalized -> logits [N, classes]."""

    def __init__(self, bundle: Bundle, *, mean: Tensor, std: Tensor) -> None:
        """`mean` and `std` [C] in the pixel scale 0..255."""
        super().__init__()
        self.session, self.mean, self.std = bundle.session(), mean.view(-1, 1, 1), std.view(-1, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images.detach() * self.std + self.mean).round().clamp(0, 255).to(torch.uint8)
        packed = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        return torch.from_numpy(self.session.run(None, {"images": packed})[0])
