"""Self-contained HTML pages, their tables and figures."""
