"""Sky to chunk, subchunk and overlap: HEALPix arithmetic on arrays, no I/O."""
