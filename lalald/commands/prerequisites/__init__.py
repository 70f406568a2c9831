"""What commands need before they act: the state folder, the selected jobs, the daemon's user, an answer of LALAL.AI."""
