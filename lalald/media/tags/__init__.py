"""What a source's tags say, and the same in its results, in each container's own way: from untrusted bytes, in constant memory."""
