"""Who may do what: names, addresses, sessions, and how often a password may be tried."""
