"""Which files of an inbox are new and finished, and which rule matches them. Events are hints; the scan decides.

    watch ─► hints ───────┐
                          ├─► inspection (finished? which rule?) ─► reconcile ─► store
    scan ─► candidates ───┘

`intake` is the loop of one inbox, `scanning/cycle` one cycle of it. `inbox_folder` tells whether the inbox is there, `scanning/` watches
and scans it, `registration` brings its files into the store, `first_scan` decides about files that were there before, `selection/`
and `explanation` decide which files are processed, `rematch` applies new settings, `empty_folders` removes folders (`prune`).
"""
