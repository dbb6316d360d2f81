// Making a captured graph smaller without changing what it gives.
#pragma once
#include "graph/graph.h"

namespace fb::graph {

// In-place forms on memory that nobody else sees become ordinary ones; constants are folded, equal steps joined, dead
// ones dropped. Also decides which elementwise results the backward computes again instead of keeping them.
void optimize(Graph& g);

// Layer norms written with means become one step where nothing else reads what lies between.
void find_norms(Graph& g);

// By memory number: written by some step, so that the order of reads and writes counts.
std::vector<bool> written_memories(const Graph& g);

}  // namespace fb::graph
