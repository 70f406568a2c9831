"""Files, folders and mounts. Knows nothing about jobs.

files, writeback, file_numbers                     operations on files, their errors, what identifies a file
renaming, placeholders                             renames that never replace another program's file
names, directory_cache                             file names, compared as disks compare them
mounts, mount_pools, pool_threads                  which mount holds a path; threads per folder
markers, known_folders, folder_monitor             whether a configured folder is available, and the right one
folder_probe, disk_errors                          whether a folder can be used, and what to do if not
"""
