#include "tests/integration/absent_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "services/common/ids.h"

namespace allod {
namespace {

std::vector<std::string> Segments(const std::string& name) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    out.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

void Exchange(std::string& text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
}

}  // namespace

std::string AbsentId(const std::string& id) {
  std::string out = id;
  char& changed = Uuid::Parse(id) ? out.at(24) : out.front();
  if (Uuid::Parse(id)) {
    changed = changed == 'e' ? 'f' : 'e';
  } else if (changed >= '0' && changed <= '9') {
    changed = changed == '7' ? '5' : '7';
  } else {
    changed = changed == 'q' ? 'w' : 'q';
  }
  return out;
}

std::vector<std::string> AbsentNames(const std::string& name) {
  const std::vector<std::string> segments = Segments(name);
  std::vector<std::string> out;
  for (std::size_t i = 1; i < segments.size(); i += 2) {
    if (segments[i] == "current" || segments[i] == "-") continue;
    std::vector<std::string> other = segments;
    other[i] = AbsentId(other[i]);
    out.push_back(fmt::format("{}", fmt::join(other, "/")));
  }
  return out;
}

std::string Alike(std::string text, const std::string& present, const std::string& absent) {
  const auto of_present = Segments(present);
  const auto of_absent = Segments(absent);
  for (std::size_t i = 0; i < std::min(of_present.size(), of_absent.size()); ++i) {
    if (of_present[i] != of_absent[i]) Exchange(text, of_absent[i], of_present[i]);
  }
  return text;
}

}  // namespace allod
