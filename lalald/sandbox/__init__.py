"""A local stand-in for LALAL.AI: all fifteen operations of its API v1, without a key or a price. It separates nothing.

`server.Sandbox` runs it in a thread, `lalald sandbox` as a program; any client of the service works with it if its base URL is
changed. `service.tracks.track_bytes` returns the bytes of any track in advance.
"""
