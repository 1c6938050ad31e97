"""Who asks: identities, how they are proven, what they may read and how much they may use."""
