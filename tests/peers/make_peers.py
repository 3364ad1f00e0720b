"""Computes what the peers attribute on the networks of networks.py and writes peers.npz. Run by hand, on a CPU:

    python -m venv peers && . peers/bin/activate
    pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
    pip install tensorflow==2.21.0 keras==3.15.1 matplotlib opencv-python-headless scikit-learn "scikit-image<=0.25.2"
    pip install scipy tqdm einops
    pip install --no-deps -r tests/peers/requirements.txt
    python tests/peers/make_peers.py

Keys are `peer.Class(settings)/network`. Maps are float32, channels last and on the peer's own scale; those at a layer
are (N, h, w). What differs from the names is described in captum_maps, zennit_maps, grad_cam_maps and xplique_maps.
"""

import importlib
import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from networks import NETWORKS

PEERS = {"captum": "captum_maps", "zennit": "zennit_maps", "grad-cam": "grad_cam_maps", "xplique": "xplique_maps"}


def maps_of(peer: str, network: str) -> dict[str, np.ndarray]:
    """The maps of one peer on one network, by their key."""
    module = importlib.import_module(PEERS[peer])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum warns that it sets hooks
        return {f"{peer}.{name}/{network}": channels_last(maps) for name, maps in module.maps_of(network)}


def logits_of(network: str) -> dict[str, np.ndarray]:
    """The logits of a network in PyTorch."""
    from peer_torch_networks import inputs, torch_model

    return {f"logits/{network}": channels_last(torch_model(network)(inputs(network)[0]))}


def channels_last(values: Any) -> np.ndarray:
    """A tensor of PyTorch with its channels last, or an array, as float32."""
    array = np.asarray(values.detach() if hasattr(values, "detach") else values)
    return (np.moveaxis(array, 1, -1) if array.ndim == 4 else array).astype("float32")


def main() -> None:
    """Write peers.npz."""
    found = {}
    for network in NETWORKS:
        found |= logits_of(network)
        for peer in PEERS:
            found |= maps_of(peer, network)
    versions = json.dumps({package: version(package) for package in ("torch", *PEERS, "tensorflow", "keras", "numpy")})
    target = Path(__file__).with_name("peers.npz")
    np.savez_compressed(target, versions=versions, **found)
    print(f"{len(found)} arrays, {target.stat().st_size / 1024:.0f} KiB: {target}\n{versions}")


if __name__ == "__main__":
    main()
