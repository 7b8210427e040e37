"""Layer 6: what scripts ask a Keras model for beside training and answers: variables, configs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dropfast.arrays import Array
from dropfast.configurable import deserialize
from dropfast.graph import SymbolicTensor
from dropfast.models import adapters
from dropfast.models.fitting import Fitting


class Attributes(Fitting):
    """A model that learns, with Keras' further attributes. See `dropfast.Sequential`."""

    # There is one way to run, whatever `compile` was given.
    jit_compile = False
    run_eagerly = False

    @property
    def non_trainable_weights(self) -> list[Array]:
        """The weight arrays that training doesn't move: of frozen layers, running statistics."""
        trained = {id(array) for array in self.trainable_weights}
        return [array for array in self.weights if id(array) not in trained]

    @property
    def variables(self) -> list[Array]:
        """All weight arrays; the name that Keras 3 has for `weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Array]:
        """Another name for `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Array]:
        """Another name for `non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def losses(self) -> list[float]:
        """The penalty of each weight array that is trained and has a regularizer."""
        moved = {id(array) for array in self.trainable_weights}
        return [
            w.regularizer(w.value) for w in self._weights if w.regularizer and id(w.value) in moved
        ]

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """What the model is given, as symbolic tensors."""
        return self.plan.graph.sources

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """What it returns."""
        return self.plan.graph.results

    @property
    def input(self) -> Any:
        """The inputs as the model was made: alone, or in a list or dict."""
        return self.plan.graph.inputs

    @property
    def output(self) -> Any:
        """The outputs likewise."""
        return self.plan.graph.outputs

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return adapters.input_names(self.plan.graph)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return adapters.output_names(self.plan.graph)

    def to_json(self, **kwargs: Any) -> str:
        """The model's description, without weights, as JSON; see `dropfast.models.model_from_json`.

        Parameters
        ----------
        **kwargs
            Handed on to `json.dumps`.
        """
        return json.dumps({"class": type(self).__name__, "config": self.get_config()}, **kwargs)

    def get_compile_config(self) -> dict[str, Any]:
        """What `compile` was given, as plain values; empty if it wasn't called."""
        from dropfast.models.saving import compile_config

        return compile_config(self) if self.compiled else {}

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile as `get_compile_config` says."""
        if config:
            self.compile(**{name: deserialize(value) for name, value in config.items()})

    def reset_metrics(self) -> None:
        """Forget what metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()
