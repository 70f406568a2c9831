"""The shape of the configuration file: its keys and kinds of value, the validation by pydantic, and its JSON Schema."""
