"""Layer 7: TabularMLPClassifier and TabularMLPRegressor."""

from __future__ import annotations

from typing import Any

from dropfast.tabular.targets import TableClassifier, TableRegressor


class TabularMLPClassifier(TableClassifier):
    """Multilayer perceptron for tables with numbers, categories and missing values.

    Without an embedding, a scaling layer, parametric activations, learning-rate factors and a
    schedule of the weight decay, the native engine trains it; else NumPy does.

    Parameters
    ----------
    hidden_layer_sizes, activation
        Units of the hidden layers; their activation.
    embedding
        What a numeric column becomes: None for itself; "periodic" for itself and a trained linear
        function of trained cosines (PBLD); "piecewise_linear" for trained functions that bend at
        its quantiles.
    scaling_layer
        Whether each input has a trained factor.
    parametric_activation
        Whether each hidden unit has a trained share of its activation.
    dropout, dropout_schedule
        Probability to drop a hidden unit at first, and how it moves: "constant", or falling to 0
        as "cosine", "flat_cosine" (in the second half), "linear", or "coslog4" (four waves).
    label_smoothing
        Share of a target that is spread over all classes; classifiers alone.
    learning_rate_init, learning_rate_schedule
        Largest learning rate, and how it moves.
    learning_rate_factors
        Factors of "scale", "embedding", "activation" and "bias"; those that are not given are 1.
        RealMLP has 6, .1, .1 and .1.
    weight_decay, weight_decay_schedule
        Share by which weights shrink in each step, times the learning rate; and how it moves.
    batch_size
        Rows of a batch; "auto" is between 32 and 256, for about twenty steps an epoch.
    max_iter, n_iter_no_change
        Number of epochs; after how many without a lower validation loss it ends (None for never).
        The weights kept are those of the epoch with the least validation loss.
    validation_fraction
        Share of the samples that is held out for that; each network draws its own.
    calibration_fraction
        Share of the samples that is neither trained on nor watched, for `predict_interval` and
        `predict_set` alone; 0 calibrates with the rows that each network held out.
    bagging
        Whether the `n_models` networks hold out one part each of a partition of the samples.
    n_models
        Number of networks whose answers are averaged.
    periodic
        Cosines, of frequencies drawn once, that are added for each numeric column; they can help
        where the target is jagged, and hurt small tables.
    categorical_features
        "from_dtype": columns of dtype category, string, object or bool; or their names or numbers.
    max_categories
        Largest number of columns that a categorical column becomes.
    random_state
        Seed of everything.
    n_threads
        Threads while it trains and predicts; None is `dropfast.get_num_threads()`.
    verbose
        Whether to print a line an epoch.

    Attributes
    ----------
    classes_
        The classes, sorted.
    models_, encoder_
        The networks; what turns tables into their inputs.
    validation_loss_curves_, best_iters_
        Validation losses of each network, and the epochs kept.
    calibration_scores_
        How far answers were off on the rows held out, sorted: what `predict_set` and
        `predict_interval` go by.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.tabular import TabularMLPClassifier
    >>> rng = np.random.default_rng(0)
    >>> table = np.empty((300, 2), dtype=object)
    >>> table[:, 0] = rng.choice(["red", "green", "blue"], 300)
    >>> table[:, 1] = rng.normal(size=300)
    >>> y = np.where((table[:, 0] == "red") == (table[:, 1] > 0), "yes", "no")
    >>> model = TabularMLPClassifier(32, max_iter=40, categorical_features=[0], random_state=0)
    >>> model.fit(table, y).score(table, y) > 0.9
    True
    >>> model.predict_set(table[:1], coverage=0.9).shape
    (1, 2)
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (256, 256),
        activation: str = "silu",
        *,
        embedding: str | None = None,
        scaling_layer: bool = False,
        parametric_activation: bool = False,
        dropout: float = 0.15,
        dropout_schedule: str = "cosine",
        label_smoothing: float = 0.1,
        learning_rate_init: float = 0.003,
        learning_rate_schedule: str = "cosine",
        learning_rate_factors: dict[str, float] | None = None,
        weight_decay: float = 0.01,
        weight_decay_schedule: str = "constant",
        batch_size: int | str = "auto",
        max_iter: int = 100,
        n_iter_no_change: int | None = None,
        validation_fraction: float = 0.15,
        calibration_fraction: float = 0.0,
        bagging: bool = False,
        n_models: int = 1,
        periodic: int = 0,
        categorical_features: Any = "from_dtype",
        max_categories: int = 100,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self._keep(locals())


class TabularMLPRegressor(TableRegressor):
    """Multilayer perceptron for tables with numbers, categories and missing values.

    Targets are standardised, and predictions don't leave the range of the targets of `fit`.
    Parameters and attributes are those of `TabularMLPClassifier`, without classes.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.tabular import TabularMLPRegressor
    >>> x = np.random.default_rng(0).normal(size=(400, 3))
    >>> x[::10, 2] = np.nan  # missing values
    >>> y = x[:, 0] * np.abs(x[:, 1])
    >>> model = TabularMLPRegressor(64, max_iter=60, random_state=0).fit(x, y)
    >>> model.score(x, y) > 0.5
    True
    >>> low, high = model.predict_interval(x, coverage=0.8)
    >>> bool((low < high).all())
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (256, 256),
        activation: str = "silu",
        *,
        embedding: str | None = None,
        scaling_layer: bool = False,
        parametric_activation: bool = False,
        dropout: float = 0.15,
        dropout_schedule: str = "cosine",
        learning_rate_init: float = 0.003,
        learning_rate_schedule: str = "cosine",
        learning_rate_factors: dict[str, float] | None = None,
        weight_decay: float = 0.01,
        weight_decay_schedule: str = "constant",
        batch_size: int | str = "auto",
        max_iter: int = 100,
        n_iter_no_change: int | None = None,
        validation_fraction: float = 0.15,
        calibration_fraction: float = 0.0,
        bagging: bool = False,
        n_models: int = 1,
        periodic: int = 0,
        categorical_features: Any = "from_dtype",
        max_categories: int = 100,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self._keep(locals())
