"""Yahoo Finance through yfinance: client, cache on disk, and the source."""

from market.sources.yahoo.source import YFinance

__all__ = ["YFinance"]
