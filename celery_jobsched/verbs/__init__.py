"""What a person does with jobs, a room for each kind of verb; ``jobs.Jobs`` has them all."""
