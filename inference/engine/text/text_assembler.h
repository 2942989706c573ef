// Turns the pieces of sampled tokens into deliverable text: whole UTF-8 characters, nothing of a stop string, exact
// token counts.
//
// A token counts when the first byte of its text is delivered. So a character of three tokens counts three at once, a
// token whose end is held back (it may begin a stop string) counts when its beginning is delivered and its end later
// counts nothing, and a token that a stop string swallowed whole never counts. Bytes that cannot become valid UTF-8 are
// delivered as U+FFFD. Belongs to one sequence and one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace allod::inference::engine::text {

struct TextDelta {
  std::string text;
  std::int32_t token_count = 0;
};

class TextAssembler {
 public:
  // `stops` must not hold empty strings.
  explicit TextAssembler(std::vector<std::string> stops);

  // Adds the text of one token and appends what can be delivered to `out`. True when a stop string came up; then
  // nothing may be added any more and Finish has nothing to deliver.
  bool Add(std::string_view piece, TextDelta& out);
  // The generation ended otherwise: held-back text is delivered after all; the bytes of an incomplete character are
  // not.
  void Finish(TextDelta& out);

 private:
  std::size_t HeldBackForStops() const;
  // Delivers the first `bytes` of pending_, less an incomplete character at their end if `more_may_come`.
  void Deliver(std::size_t bytes, bool more_may_come, TextDelta& out);

  const std::vector<std::string> stops_;
  std::size_t stop_bytes_max_ = 0;
  std::string pending_;                    // not yet delivered
  std::vector<std::size_t> token_starts_;  // in pending_, of tokens not yet counted
};

}  // namespace allod::inference::engine::text
