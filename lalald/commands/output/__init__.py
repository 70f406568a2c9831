"""What commands print: lines and tables that fit a terminal, errors, JSON, and the screens of `status` and `explain`."""
