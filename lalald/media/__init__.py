"""What a media file states about itself: its type by extension, its duration, its tags.

types           known extensions
track_labels    the tracks that each mode makes
durations       lengths, by the readers in containers/
inspections     which files are being parsed
bounded_file    limited reads of untrusted files
tags/           tags, read and written
"""
