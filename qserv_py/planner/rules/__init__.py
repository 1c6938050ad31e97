"""How a block can be answered, one rule a module; the folder above says in which order they are asked."""
