"""Several processes see what one process sees with larger batches."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from offline.surrogates import weights
from offline.surrogates.training import TrainOptions, train


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def launched(program, processes, *arguments):
    """Start the toy program with the environment that torchrun makes; the first one's last line."""
    shared = {
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path.cwd()),
    }
    started = [
        subprocess.Popen(
            [sys.executable, str(program), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(processes)
    ]
    ended = [process.communicate(timeout=120) for process in started]
    for process, (_, stderr) in zip(started, ended, strict=True):
        assert process.returncode == 0, stderr[-2000:]
    return json.loads(ended[0][0].strip().splitlines()[-1])


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_two_processes_train_as_one_with_twice_the_batch(linear, tmp_path):
    two = launched(linear.FILE, 2, tmp_path / "two", 4, 3)
    options = TrainOptions(epochs=3, learning_rate=0.05, warm_up=3, device="cpu", tensorboard=False)
    one = train(linear.LinearTask(8), options, tmp_path / "one").history[-1]
    a, b = (weights.load(tmp_path / name / "final").tensors for name in ("two", "one"))
    for name in b:
        torch.testing.assert_close(a[name], b[name], rtol=1e-5, atol=1e-6)
    for key in ("loss", "validation", "step"):
        assert two[key] == pytest.approx(one[key], rel=1e-4)
    assert weights.load(tmp_path / "two" / "final").card["training"]["processes"] == 2
