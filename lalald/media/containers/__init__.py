"""One module per container. Each has `measure(file, start) -> Length`, where `start` is the offset behind ID3v2 tags.

A module may raise anything on damaged input; `lalald.media.durations` turns that into an unknown length.
"""
