"""Files of users to parts to chunk tables, in super-transactions that commit whole or leave nothing."""
