"""The daemon: one process that watches the inboxes, runs the worker, and answers signals and clients.

`daemon` puts the parts together; `startup`, `reloading` and `shutdown` are the phases of its life; `folder_checks`, `housekeeping` and
`inbox_loops` run beside the worker; `daemon_requests` answers the socket; `process/` is what concerns the process, `log/` its log.
"""
