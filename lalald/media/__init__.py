"""What a media file says about itself: its type by extension, its duration where the container states it reliably."""
