// Pages that the heap grew by and that hold nothing but zeros.
//
// A llama.cpp context allocates for the largest graph that its model could have and fills most of it with zeros, of
// which a step uses little: about 1.3 MB that every worker of a small model had for itself. They go back to the kernel;
// who reads one finds zeros, who writes one pays for a new page. For a process whose only running thread makes the
// context: a page is looked at and then given back, and what another thread wrote between the two would be lost.
#pragma once

#include <cstdint>

namespace allod::inference::engine {

class FreshHeap {
 public:
  // What the heap (that of brk(2), malloc's main arena) grows by from here on.
  FreshHeap();
  void GiveBackZeros() const;

 private:
  std::uintptr_t begin_;
};

}  // namespace allod::inference::engine
