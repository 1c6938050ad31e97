"""Images as tasks hand them to each other, and how the Butler stores them."""
