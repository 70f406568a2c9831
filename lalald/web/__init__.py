"""The page: reads the store, leaves requests as the command line does, and never talks to the service.

It runs in a separate process: the daemon starts it at the first connection and never imports it.
"""
