"""Linear regression as a training task: the smallest thing that the loop can train.

Also a program, for tests that need processes of their own: OUT BATCH EPOCHS.
"""

import json
import sys

import torch
from torch import nn

TRUE = torch.tensor([[1.0, -2.0, 3.0, 0.5]])
CELLS = 48
FILE = __file__


class LinearTask:
    """y = TRUE x without noise; `before` is called with the number of every loss."""

    def __init__(self, batch=8, dropout=0.0, before=None, validations=None):
        self.batch, self.dropout, self.before = batch, dropout, before
        self.validations = validations
        self.x = torch.randn(CELLS, 4, generator=torch.Generator().manual_seed(3))
        self.calls = 0

    def module(self):
        return nn.Sequential(nn.Dropout(self.dropout), nn.Linear(4, 1))

    def steps(self, world):
        return CELLS // (self.batch * world)

    def batches(self, epoch, rank, world, start=0):
        order = torch.randperm(CELLS, generator=torch.Generator().manual_seed(epoch))
        for step in range(start, self.steps(world)):
            first = (step * world + rank) * self.batch
            yield self.x[order[first : first + self.batch]]

    def prepare(self, batch, device):
        return batch.to(device)

    def loss(self, module, batch, learning_rate):
        self.calls += 1
        x = batch if self.before is None else self.before(self.calls, batch)
        y = x @ TRUE.T
        predicted = module(x)
        return {"loss": ((predicted.float() - y) ** 2).mean(), "rate": torch.tensor(learning_rate)}

    def validate(self, module):
        if self.validations is not None:
            return {"validation": self.validations.pop(0)}
        return {"validation": float(((module(self.x).float() - self.x @ TRUE.T) ** 2).mean())}

    def card(self):
        return {"kind": "linear", "config": {"dropout": self.dropout}}


if __name__ == "__main__":
    from offline.surrogates.training import TrainOptions, train

    out, batch, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    options = TrainOptions(epochs=epochs, learning_rate=0.05, warm_up=3, device="cpu")
    found = train(LinearTask(batch), options, out)
    print(json.dumps(found.history[-1]))
