"""Distances and bilinear forms."""

import flambeau as fb

pairwise_distance = fb.pairwise_distance
pdist = fb.pdist
cosine_similarity = fb.cosine_similarity
bilinear = fb.bilinear
