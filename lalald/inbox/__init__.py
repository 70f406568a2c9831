"""Intake: which files are new and finished. Events are hints, the scan is the truth.

    watch ─► hints ─┐
                    ├─► settle ─► explain ─► store
    scan ─► unknown ┘

`names` and `explain` decide about a path, `settle` about a file's being finished, `availability` about the folder as a whole;
`intake.Intake` puts them together for one inbox.
"""
