"""The stages of a job, one verb per module. A stage does its work and returns an outcome; only the worker saves it.

upload split check download delete archive    the stages
start_requests start_answers                  the requests of `split` and their answers
expected_tracks failed_downloads              what follows from answers of `check`, and from failed tracks
reuse/                                        results of the same bytes are reused
precharge/                                    what must hold before anything is charged
context                                       the objects that every stage works with
"""
