"""Checked YAML and TOML: a value of the right model, or all problems of a file at once; files written whole."""

from capacity.document.check import Checks, check_document, read_text, read_toml, read_yaml
from capacity.document.contract import Contract, Fault, Range
from capacity.document.files import write_bytes, write_text
from capacity.document.notation import parse_toml, parse_yaml, to_yaml
from capacity.document.zones import find_zone, require_zone

__all__ = [
    "Checks",
    "Contract",
    "Fault",
    "Range",
    "check_document",
    "find_zone",
    "parse_toml",
    "parse_yaml",
    "read_text",
    "read_toml",
    "read_yaml",
    "require_zone",
    "to_yaml",
    "write_bytes",
    "write_text",
]
