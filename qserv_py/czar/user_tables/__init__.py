"""Tables of users: those that come with a query, those that are kept."""
