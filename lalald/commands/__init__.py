"""The commands: one module each, loaded when it is asked for. `verbs` says what each one is for."""
