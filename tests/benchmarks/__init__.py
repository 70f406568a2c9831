"""What lalald costs, measured: each module prints its figures beside a reference from the same run.

`python -m tests.benchmarks.health` measures one, `python -m tests.benchmarks` all of them, as a Markdown table. None is a timed
test: figures move with the machine and with whatever else it does, so each is to be read beside its reference.
"""

NAMES = (
    "ten_files", "detection", "finish_to_download", "many_files", "transfers", "memory", "tagging", "idle", "rescan", "outage", "poison",
    "health", "notifications", "scale", "page",
)  # fmt: skip
"""The modules, in the table's order: each has `measure`, and `SMALL`, its arguments where only its working counts."""
