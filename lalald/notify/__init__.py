"""Events leave the house: messages by Apprise, signed webhooks, and commands of the user's own."""
