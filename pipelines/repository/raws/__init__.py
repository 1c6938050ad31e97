"""Raw exposures in a repository: their files, and the visits and regions of the sky that follow from them."""
