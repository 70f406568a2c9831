"""What several commands need: the state folder, jobs and folders by name, a question to LALAL.AI, the daemon's user."""
