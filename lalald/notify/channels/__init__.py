"""How something leaves the house: a webhook, a command, or a message by Apprise."""
