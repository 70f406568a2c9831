"""Files, folders and mounts. Knows nothing about jobs.

files, writeback, file_numbers                     operations on files, their errors, what identifies a file
renaming, placeholders                             renames that never replace another program's file
names, directory_cache                             file names, compared as disks compare them
mounts, mount_pools, pool_threads                  which mount holds a path; threads per folder
markers                                            what distinguishes a folder from an empty mount point
availability/                                      whether a configured folder is there, and can be used
disk_errors                                        why a folder of lalald cannot be used, and what to do
"""
