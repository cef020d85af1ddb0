"""Files of the project: arrays in safetensors with a JSON header, text and JSON, each written aside and renamed."""

from market.storage.array_file import (
    atomic_write,
    read_arrays,
    read_header,
    read_json,
    write_arrays,
    write_json,
    write_text,
)

__all__ = ["atomic_write", "read_arrays", "read_header", "read_json", "write_arrays", "write_json", "write_text"]
