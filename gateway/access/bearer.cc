#include "gateway/access/bearer.h"

#include <algorithm>
#include <cctype>

namespace allod::gateway::access {

std::string_view BearerToken(std::string_view authorization) {
  constexpr std::string_view kBlanks = " \t";
  const std::size_t scheme_end = authorization.find_first_of(kBlanks);
  if (scheme_end == std::string_view::npos) return {};
  const bool matches =
      std::ranges::equal(authorization.substr(0, scheme_end), std::string_view("bearer"),
                         [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
  const std::size_t begin = authorization.find_first_not_of(kBlanks, scheme_end);
  if (!matches || begin == std::string_view::npos) return {};
  return authorization.substr(begin, authorization.find_last_not_of(kBlanks) + 1 - begin);
}

}  // namespace allod::gateway::access
