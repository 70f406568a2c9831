"""Run the due stages of jobs and record their outcomes.

`worker` starts the loops: `pools` and `stage_pool` run stages, `checks/` asks for running tasks, `holds/` ends holds, `requests/`
handles what clients request. `recorder` saves outcomes; `faults/` contains errors, `service/` limits requests.
"""
