"""Whether a configured folder is available and usable.

`known_folders` checks them, `folder_monitor` says when to check again, `folder_probe` tries what is allowed in one.
"""
