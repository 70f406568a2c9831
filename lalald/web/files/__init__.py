"""Files that the page gives out and takes in: opened part by part below a configured folder, never through a link."""
