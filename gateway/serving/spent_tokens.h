// What a request has cost in tokens, for its key's rate limit. Counted as the work is done, whatever becomes of the
// request: an answer that nobody took was computed, and a prompt that a worker refused was read. Used by one coroutine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace allod::gateway::serving {

class SpentTokens {
 public:
  // `request_bytes`: of the prompt, schema and grammar together.
  explicit SpentTokens(std::size_t request_bytes)
      : estimate_(static_cast<std::int64_t>((request_bytes + kBytesPerToken - 1) / kBytesPerToken)) {}

  // Handed to a worker; also again, after one that did not take it up. Until the worker says what it read, that is
  // estimated.
  void Sent() { pending_ = true; }
  // No worker looked at it.
  void NotTakenUp() { pending_ = false; }
  void Read(std::int64_t prompt_tokens) {
    pending_ = false;
    counted_ += std::max<std::int64_t>(prompt_tokens, 0);
  }
  void Computed(std::int64_t tokens) { counted_ += std::max<std::int64_t>(tokens, 0); }

  std::int64_t total() const { return counted_ + (pending_ ? estimate_ : 0); }

 private:
  // About what tokens of text have; exact enough for what was refused.
  static constexpr std::size_t kBytesPerToken = 4;

  const std::int64_t estimate_;
  std::int64_t counted_ = 0;
  bool pending_ = false;
};

}  // namespace allod::gateway::serving
