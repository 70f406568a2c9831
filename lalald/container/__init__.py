"""The program inside the image: it becomes the user of PUID and PGID, checks the volumes, and writes a first configuration."""
