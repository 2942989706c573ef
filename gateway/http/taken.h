// How much of what was handed to it a client's socket took. Pure.
#pragma once

#include <cstddef>

namespace allod::gateway::http {

enum class Taken {
  kNothing,
  kSome,  // then the connection broke
  kAll,
};

// Of `size` bytes `written` were taken; the first `head` of them say nothing of what is delivered.
inline Taken TakenOf(std::size_t written, std::size_t head, std::size_t size) {
  if (written >= size) return Taken::kAll;
  return written > head ? Taken::kSome : Taken::kNothing;
}

}  // namespace allod::gateway::http
