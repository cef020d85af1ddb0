"""The 29 Dow Jones stocks of the STORM paper, 2008-04-01 to 2024-03-28, from Yahoo Finance.

WBA left the exchange in August 2025. Where Yahoo does not serve its history any more the run says so, and
--allow-missing takes the other 28.

Reference: Zhao et al. (2024), STORM: A Spatio-Temporal Factor Model Based on Dual Vector Quantized Variational
Autoencoders for Financial Trading. https://arxiv.org/abs/2412.09468
"""

from configs.schema.prepare import Prepare
from market.sources.yahoo.source import YFinance

# fmt: off
TICKERS = (
    "AAPL", "AMGN", "AXP", "BA", "CAT", "CRM", "CSCO", "CVX", "DIS", "GS", "HD", "HON", "IBM", "INTC", "JNJ",
    "JPM", "KO", "MCD", "MMM", "MRK", "MSFT", "NKE", "PG", "TRV", "UNH", "V", "VZ", "WBA", "WMT",
)
# fmt: on

experiment = Prepare(name="dj30", source=YFinance(tickers=TICKERS, start="2008-04-01", stop="2024-03-28"))
