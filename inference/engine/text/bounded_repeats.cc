#include "inference/engine/text/bounded_repeats.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace allod::inference::engine::text {
namespace {

// Where the class that begins at `at` is over.
std::size_t EndOfClass(std::string_view pattern, std::size_t at) {
  for (++at; at < pattern.size() && pattern[at] != ']'; ++at) {
    if (pattern[at] == '\\') {
      ++at;
    } else if (pattern.substr(at).starts_with("[:")) {
      at = std::min(pattern.find(":]", at), pattern.size() - 1) + 1;
    }
  }
  return std::min(at + 1, pattern.size());
}

// "{12,5000}" for "{12,}"; as it is if it has a bound, or is none.
std::string Braces(std::string_view braces, unsigned most) {
  unsigned least = 0;
  const char* const end = braces.data() + braces.size();
  const auto [after, error] = std::from_chars(braces.data() + 1, end, least);
  if (error != std::errc() || std::string_view(after, end) != ",}") return std::string(braces);
  return fmt::format("{{{},{}}}", least, std::max(least, most));
}

}  // namespace

std::string WithBoundedRepeats(std::string_view pattern, unsigned most) {
  std::string out;
  for (std::size_t at = 0; at < pattern.size();) {
    std::size_t end = at + 1;
    switch (pattern[at]) {
      case '*':
        out += fmt::format("{{0,{}}}", most);
        break;
      case '+':
        out += fmt::format("{{1,{}}}", most);
        break;
      case '{':
        end = std::min(pattern.find('}', at), pattern.size() - 1) + 1;
        out += Braces(pattern.substr(at, end - at), most);
        break;
      case '[':
        end = EndOfClass(pattern, at);
        out += pattern.substr(at, end - at);
        break;
      case '\\':
        end = std::min(at + 2, pattern.size());
        [[fallthrough]];
      default:
        out += pattern.substr(at, end - at);
    }
    at = end;
  }
  return out;
}

}  // namespace allod::inference::engine::text
