"""What sources say, read from untrusted bytes: bounded reads, nothing large ever loaded."""
