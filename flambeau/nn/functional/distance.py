"""Distances and bilinear forms."""

from flambeau.nn.functional._core import op

pairwise_distance = op("pairwise_distance")
pdist = op("pdist")
cosine_similarity = op("cosine_similarity")
bilinear = op("bilinear")
