"""`make bench-tasks`: tasks on this queue and on others (docs/performance.md, "Tasks")."""
