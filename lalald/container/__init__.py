"""What the image needs beyond the program: the user that it runs as, volumes that outlive the container, a configuration to begin with."""
