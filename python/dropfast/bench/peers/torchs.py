"""Layer 7: PyTorch as its own documents use it; data are tensors from the start."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


class Network:
    def __init__(self, weights, rates, optimizer, batch_size):
        layers = []
        for rate, kernel, bias in zip(rates, weights[::2], weights[1::2], strict=True):
            dense = nn.Linear(*kernel.shape)
            with torch.no_grad():
                dense.weight.copy_(torch.from_numpy(kernel.T.copy()))
                dense.bias.copy_(torch.from_numpy(bias))
            layers += [nn.Dropout(rate), dense, nn.ReLU()] if rate else [dense, nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1])
        name, learning_rate = optimizer
        chosen = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[name]
        # Keras' epsilon, which is what all contenders use.
        extra = {"eps": 1e-7} if name == "adam" else {}
        self.optimizer = chosen(self.model.parameters(), lr=learning_rate, **extra)
        self.loss = nn.CrossEntropyLoss()
        self.batch_size = batch_size

    def epoch(self, x, y):
        x, y = torch.from_numpy(x), torch.from_numpy(y)
        self.model.train()
        for rows in torch.randperm(len(x)).split(self.batch_size):
            self.optimizer.zero_grad()
            self.loss(self.model(x[rows]), y[rows]).backward()
            self.optimizer.step()

    def weights(self):
        dense = [layer for layer in self.model if isinstance(layer, nn.Linear)]
        pairs = [(layer.weight.detach().numpy().T, layer.bias.detach().numpy()) for layer in dense]
        return [array for pair in pairs for array in pair]

    @torch.inference_mode()
    def predict(self, x):
        self.model.eval()
        return torch.softmax(self.model(torch.from_numpy(x)), dim=1).numpy()

    @torch.inference_mode()
    def predict_mc(self, x, samples):
        self.model.train()
        x = torch.from_numpy(x)
        outputs = [torch.softmax(self.model(x), dim=1) for _ in range(samples)]
        return torch.stack(outputs).mean(0).numpy()


class PyTorch:
    name = "PyTorch"
    network = Network

    @staticmethod
    def dropout(x, rate):
        x = torch.from_numpy(x)
        return lambda: nn.functional.dropout(x, rate, training=True).numpy()

    @staticmethod
    def product(a, b):
        out = np.empty((len(a), b.shape[1]), a.dtype)
        a, b, out_tensor = (torch.from_numpy(array) for array in (a, b, out))

        def run():
            torch.mm(a, b, out=out_tensor)
            return out

        return run


CONTENDERS = (PyTorch,)
