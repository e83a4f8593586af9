"""Maximum likelihood: seeding, EM, restarts, criteria, selection and information."""
