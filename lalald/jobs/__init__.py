"""Jobs and their tasks: states, transitions, outcomes, prices, and events. Pure: no module here uses a disk or the network."""
