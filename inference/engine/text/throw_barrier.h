// Whether an exception may be thrown here: one that meets a function which promises to throw nothing, such as a
// destructor, ends the process instead.
//
// Reads what the compiler left for the unwinder, as that does itself: the Itanium C++ ABI for exception handling, part
// II, and the table of call sites that g++ and clang write (LSDA). What cannot be read counts as a barrier, and so does
// every function that its symbol calls a destructor: what it promises can be hidden in code that cleans up for it. That
// of another function which was inlined into one that cleans up is not seen.
#pragma once

#include <cstdint>

namespace allod::inference::engine::text {

// A place in a function, as one that it calls sees it.
struct CallPlace {
  std::uintptr_t stack;  // __builtin_dwarf_cfa() of the called one: the caller's stack pointer
  void* code;            // __builtin_return_address(0)
};

// Whether an exception that the caller threw would be stopped so before it leaves the place in the function that called
// from `owner`, which still runs. A handler for everything on the way ends the search; one for some type is looked
// past, so that the answer errs towards true. Walks the stack: some microseconds. Thread-safe, allocates nothing.
bool IsThrowBarred(const CallPlace& owner);

}  // namespace allod::inference::engine::text
