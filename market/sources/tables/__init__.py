"""Tables of daily bars in CSV and Parquet files: bytes, cells, column names, and the long frame they make."""

from market.sources.tables.source import Tables

__all__ = ["Tables"]
