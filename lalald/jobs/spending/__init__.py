"""What jobs cost, and what a user has agreed to pay."""
