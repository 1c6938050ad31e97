"""Where rows go: cells and chunks of a table's rows, the ids of directors, child rows without a director."""
