"""Untrained CGiNS weights for cells of 8 voxels per axis: ten solver steps do the work."""

from dataclasses import asdict

import pytest
import torch

from offline.surrogates import weights
from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.network import CGiNS


@pytest.fixture(scope="session")
def stem(tmp_path_factory):
    config = CGiNSConfig(channels=4, depth=1, frequencies=2, pcg_steps=10)
    torch.manual_seed(0)
    card = {
        "kind": "cgins",
        "config": asdict(config),
        "data": {"families": ["tpms"], "resolution": 8, "cells": 1},
    }
    path = weights.save(tmp_path_factory.mktemp("weights") / "best", CGiNS(config), card)
    return path.with_suffix("")
