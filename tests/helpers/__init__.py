"""What the tests share: networks, tensors of each framework, raw maps and quick settings."""

from helpers.maps import forbid_passes, raw_maps
from helpers.networks import captum_network, gap_network, linear_network, randomised
from helpers.settings import FOR_CONVNETS, QUICK
from helpers.tensors import BACKEND, array, enlarged, gradient_of, outside_keras, traced

__all__ = [
    "BACKEND",
    "FOR_CONVNETS",
    "QUICK",
    "array",
    "captum_network",
    "enlarged",
    "forbid_passes",
    "gap_network",
    "gradient_of",
    "linear_network",
    "outside_keras",
    "randomised",
    "raw_maps",
    "traced",
]
