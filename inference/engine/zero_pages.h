// Pages of the heap that hold nothing but zeros.
//
// A llama.cpp context allocates for the largest graph that its model could have and fills most of it with zeros, of
// which a step uses little: nearly 3 MB that every worker of a small model had for itself. They go back to the kernel;
// who reads one finds zeros, who writes one pays for a new page.
#pragma once

namespace allod::inference::engine {

// Of the heap that brk(2) made since the program started, which is malloc's main arena. Only while no other thread
// runs: a page is looked at and then given back, and what is written between the two would be lost.
void GiveBackZeroPages();

}  // namespace allod::inference::engine
