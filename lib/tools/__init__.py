"""Tools around the scoring job: a broker for trials, the demonstration, what the other jobs do."""
