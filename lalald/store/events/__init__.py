"""Events: written with the facts that they are about, read by entries of `notify` and by the page."""
