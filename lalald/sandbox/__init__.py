"""A local stand-in for LALAL.AI: all fifteen operations of its API v1, without a key, a price, or any separating.

`server.Sandbox` runs it in a thread, `lalald sandbox` as a program; any client of the service works with it once its
base URL is changed. `tracks.track_bytes` tells the bytes of any track beforehand.
"""
