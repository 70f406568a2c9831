"""What tests share: drivers of the program, servers that misbehave, folders with known contents. No tests."""

from pathlib import Path

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parent.parent
