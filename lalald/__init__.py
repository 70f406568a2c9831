"""lalald watches folders and carries what is dropped there through LALAL.AI: upload, split, check, download, delete.

Whatever Python starts the program reads this file first, so it keeps to what Python 2.7 can parse.
"""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 11):  # noqa: UP036 - pip refuses an older Python, `python -m lalald` does not
    found = sys.version.split()[0] + " (" + sys.executable + ")"
    sys.stderr.write("lalald needs Python 3.11 or newer; this is Python " + found + ".\n")
    sys.exit(2)
