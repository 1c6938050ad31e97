"""Tables that the czar answers itself, TAP_SCHEMA among them."""
