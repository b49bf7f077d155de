"""A customer network too small to learn anything, and inputs for it. Needs torch."""

import numpy as np
import torch

from serving.catalogue import Catalogue
from serving.features import tensors
from serving.model.network import CustomerNetwork, ServedNetwork
from serving.model.settings import NetworkSettings
from stream.contracts.times import DAY_MS
from tests.unit.serving.recorded_shop import shop_items
from tests.unit.serving.test_features import profiles

SMALL = NetworkSettings(width=16, heads=2, layers=1, feed_forward=16, dropout=0.0)
CATALOGUE = Catalogue.from_items(shop_items())


def quiet(what: str, done: int, of: int) -> None:
    pass


def network(seed: int = 0) -> CustomerNetwork:
    torch.manual_seed(seed)
    return CustomerNetwork(SMALL).eval()


def served() -> ServedNetwork:
    return ServedNetwork(network(), torch.tensor([0.9, 1.0, 1.1]), torch.tensor([0.1, -0.2, 0.4]), 1.25).eval()


def inputs(customers: int = 10) -> dict[str, np.ndarray]:
    found = profiles(customers=customers)
    return tensors(found, [p.last_time + DAY_MS for p in found], CATALOGUE)
