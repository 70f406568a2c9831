"""Requests that clients left in jobs' rows: `job_requests` is their loop, `cancellation` cancels tasks on the service."""
