#include "services/common/permissions.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace allod {
namespace {

using Parts = std::array<std::string_view, 3>;

// The parts of "area.collection.verb"; empty when there are not three.
Parts Split(std::string_view text) {
  const std::size_t first = text.find('.');
  const std::size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
  if (second == std::string_view::npos) return {};
  return {text.substr(0, first), text.substr(first + 1, second - first - 1), text.substr(second + 1)};
}

bool IsWord(std::string_view part) {
  return !part.empty() &&
         std::ranges::all_of(part, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}

std::size_t FormOf(std::string_view pattern) {
  const Parts parts = Split(pattern);
  std::size_t out = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) out |= parts[i] == "*" ? std::size_t{1} << i : 0;
  return out;
}

// "area.collection." of a pattern, and its verb.
std::pair<std::string_view, std::string_view> WithoutVerb(std::string_view pattern) {
  const std::size_t dot = pattern.rfind('.') + 1;
  return {pattern.substr(0, dot), pattern.substr(dot)};
}

}  // namespace

bool IsPermission(std::string_view text) { return std::ranges::all_of(Split(text), IsWord); }

bool IsPermissionPattern(std::string_view text) {
  return std::ranges::all_of(Split(text), [](std::string_view part) { return part == "*" || IsWord(part); });
}

bool IsWithin(std::string_view inner, std::string_view outer) {
  const Parts inner_parts = Split(inner);
  const Parts outer_parts = Split(outer);
  for (std::size_t i = 0; i < inner_parts.size(); ++i) {
    if (inner_parts[i].empty() || (outer_parts[i] != "*" && outer_parts[i] != inner_parts[i])) return false;
  }
  return true;
}

Permission::Permission(std::string_view text) {
  const Parts parts = Split(text);
  for (std::size_t form = 0; form < kForms; ++form) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool is_any = (form >> i & 1) != 0;
      forms_[form].append(i == 0 ? "" : ".").append(is_any ? "*" : parts[i]);
    }
    hashes_[form] = std::hash<std::string_view>()(forms_[form]);
  }
}

Permissions::Permissions(std::vector<std::string> patterns) {
  std::erase_if(patterns, [](const std::string& pattern) { return !IsPermissionPattern(pattern); });
  std::ranges::sort(patterns);
  patterns.erase(std::ranges::unique(patterns).begin(), patterns.end());
  for (const std::string& pattern : patterns) {
    const bool is_within = std::ranges::any_of(
        patterns, [&](const std::string& other) { return other != pattern && IsWithin(pattern, other); });
    if (is_within) continue;
    forms_ = static_cast<std::uint8_t>(forms_ | 1U << FormOf(pattern));
    places_.push_back({std::hash<std::string_view>()(pattern), static_cast<std::uint32_t>(patterns_.size())});
    patterns_.push_back(pattern);
  }
  std::ranges::sort(places_, {}, &Place::hash);
}

bool Permissions::Has(const Permission& permission) const {
  for (std::size_t form = 0; form < Permission::kForms; ++form) {
    if ((forms_ >> form & 1) == 0) continue;
    const std::size_t hash = permission.hashes_[form];
    for (auto at = std::ranges::lower_bound(places_, hash, {}, &Place::hash); at != places_.end() && at->hash == hash;
         ++at) {
      if (patterns_[at->at] == permission.forms_[form]) return true;
    }
  }
  return false;
}

std::string Permissions::ToText() const {
  std::string out;
  std::string_view before;
  for (const std::string& pattern : patterns_) {
    const auto [head, verb] = WithoutVerb(pattern);
    if (head == before) {
      out.append("|").append(verb);
    } else {
      out.append(out.empty() ? "" : "+").append(pattern);
    }
    before = head;
  }
  return out;
}

std::optional<Permissions> Permissions::Parse(std::string_view text) {
  std::vector<std::string> patterns;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('+'), text.size());
    const auto [head, verbs] = WithoutVerb(text.substr(0, end));
    for (std::string_view left = verbs;;) {
      const std::size_t bar = std::min(left.find('|'), left.size());
      patterns.push_back(std::string(head).append(left.substr(0, bar)));
      if (!IsPermissionPattern(patterns.back())) return std::nullopt;
      if (bar == left.size()) break;
      left.remove_prefix(bar + 1);
    }
    if (end + 1 == text.size()) return std::nullopt;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return Permissions(std::move(patterns));
}

}  // namespace allod
