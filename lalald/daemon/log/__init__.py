"""The daemon's log: events become lines for people, JSON or the journal, and a slow or missing reader stops nothing."""
