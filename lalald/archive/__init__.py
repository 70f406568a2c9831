"""Move sources out of the inbox when their job ends, and bring them back when it resumes.

archiving       what `on_success` and `on_failure` say, for one job
source_moves    a file is moved without being lost or confused with another
source_paths    where a source is and where it will be moved
error_note      `NAME.error.txt` beside a failed file
"""
