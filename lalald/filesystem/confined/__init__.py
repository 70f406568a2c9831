"""Files below a configured folder, reached part by part: never through a link, whatever somebody puts in the way."""
