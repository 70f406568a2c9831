"""The ways to send an event: a webhook, a command, or a message by Apprise."""
