"""Send events out of the program: messages by Apprise, signed webhooks, and commands that the user configures."""
