"""Read a file's length from its container. Each module has `measure(file, start) -> Length`; `start` is the offset after ID3v2 tags.

A module may raise anything on damaged input; `lalald.media.durations` turns that into an unknown length.
"""
