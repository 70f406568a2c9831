"""The health of the service: circuit breakers and rate limits."""
