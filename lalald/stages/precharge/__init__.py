"""The conditions for a charge: minutes, room, rights, an unchanged source, and results that do not exist yet."""
