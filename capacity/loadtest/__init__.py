"""Load tests: one reader a tool, steady steps, and what they are worth."""

from capacity.loadtest.discovery import Found, discover
from capacity.loadtest.gate import Gate
from capacity.loadtest.readers import READERS
from capacity.loadtest.result import LoadTest, LoadTests
from capacity.loadtest.run import read_load_test, read_load_tests

__all__ = ["READERS", "Found", "Gate", "LoadTest", "LoadTests", "discover", "read_load_test", "read_load_tests"]
