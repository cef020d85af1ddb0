import numpy as np
import pandas as pd

from market.panel import Panel
from market.quality import clean
from market.sources.tables.source import Tables

rng = np.random.default_rng(0)
pd.DataFrame({  # any CSV or Parquet: a file per ticker, one long table, or one wide table
    "Date": pd.bdate_range("2020-01-01", periods=250).strftime("%Y-%m-%d"),
    "Close": 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 250))),
}).to_csv("MINE.csv", index=False)  # fmt: skip
panel, report = clean(Tables(path="MINE.csv").read())
print(report.table())  # what was repaired, masked or dropped, and by which rule
panel.save("panel.safetensors")
assert Panel.load("panel.safetensors").assets == ("MINE",)
