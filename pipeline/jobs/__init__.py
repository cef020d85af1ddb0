"""Independent runs as jobs with what each waits for, and the engines that carry them out: here, processes, or Ray."""
