"""The page: reads the store, leaves requests as the command line does, and never talks to the service.

It is a process of its own: the daemon starts it at the first connection and never imports it.
"""
