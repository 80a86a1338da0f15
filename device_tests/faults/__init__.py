"""Break a deployment in every way at every moment: the board must serve the old or the new release, whole."""
