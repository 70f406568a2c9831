"""Tags written into results: each writer says what the tagged file is made of, and copies nothing itself."""
