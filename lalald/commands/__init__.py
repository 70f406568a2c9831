"""The command line: a module for each command, loaded when it is needed. `command_list` describes them, `parser` reads the arguments.

`access` finds jobs, folders and the state for them; `output` lays out what they print.
"""
