"""Jobs that compute the features of a whole data set, as streams."""
