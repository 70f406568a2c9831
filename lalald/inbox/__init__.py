"""Intake: which files are new and finished. Events are hints, the scan is the truth.

    watch ─► hints ──┐
                     ├─► look: is it finished (settle), which rule (explain) ─► accounts ─► store
    scan ─► unknown ─┘

`intake.Intake` is the loop of one inbox: it decides when to look where. `desk` works off what was found, `sweep` walks and compares,
`first_look` tells old files from new ones, `mode` how it is watched.
"""
