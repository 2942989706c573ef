// Keeps users from writing control tokens: finds the texts of a vocabulary's control tokens in what users wrote.
//
// A chat prompt is rendered by the model's template and must then be tokenised with control tokens recognised, because
// the template writes them ("<|user|>"). A user who writes the same text must get plain text. So before rendering Guard
// wraps each such text in two Unicode noncharacters, which the template carries along; after rendering Split cuts
// there, and the caller tokenises the guarded parts with control tokens off. Prompts without such text, nearly all, are
// not touched.
//
// Immutable after construction; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace allod::inference::engine::text {

struct PromptPart {
  std::string text;
  bool is_plain = false;  // tokenise without control tokens
};

class ControlText {
 public:
  // `texts`: those of the control tokens; empty ones are ignored.
  explicit ControlText(const std::vector<std::string>& texts);

  // `content` with every control text wrapped; noncharacters that were there already are removed.
  std::string Guard(std::string_view content) const;
  // The parts of a rendered prompt, without the wrapping.
  static std::vector<PromptPart> Split(std::string_view rendered);

 private:
  // Length of the longest control text at the front of `text`; 0 if there is none.
  std::size_t MatchFront(std::string_view text) const;

  // A trie: (node << 8 | byte) -> child node. Looking at one position never costs more than the longest text, whatever
  // users write.
  std::unordered_map<std::uint64_t, std::uint32_t> children_;
  std::vector<bool> is_end_;
};

}  // namespace allod::inference::engine::text
