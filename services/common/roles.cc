#include "services/common/roles.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <array>
#include <map>

namespace allod {
namespace {

// The parts of "area.collection.verb"; empty when there are not three.
std::array<std::string_view, 3> Split(std::string_view text) {
  const std::size_t first = text.find('.');
  const std::size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
  if (second == std::string_view::npos) return {};
  return {text.substr(0, first), text.substr(first + 1, second - first - 1), text.substr(second + 1)};
}

// Whether everything that `inner` stands for, `outer` stands for.
bool IsWithin(std::string_view inner, std::string_view outer) {
  const auto inner_parts = Split(inner);
  const auto outer_parts = Split(outer);
  for (std::size_t i = 0; i < inner_parts.size(); ++i) {
    if (inner_parts[i].empty() || (outer_parts[i] != "*" && outer_parts[i] != inner_parts[i])) return false;
  }
  return true;
}

struct Defined {
  std::string word;
  std::vector<std::string> patterns;
};

// By role.
const std::map<Role, Defined>& Definitions() {
  static const auto definitions = [] {
    std::map<Role, Defined> out;
    const google::protobuf::EnumDescriptor& type = *access::v1::Role_descriptor();
    for (int i = 0; i < type.value_count(); ++i) {
      const auto& value = *type.value(i);
      if (!value.options().HasExtension(access::v1::role)) continue;
      const auto& rule = value.options().GetExtension(access::v1::role);
      std::string word = value.name().substr(std::string_view("ROLE_").size());
      std::ranges::transform(word, word.begin(),
                             [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
      out[static_cast<Role>(value.number())] = {word, {rule.permissions().begin(), rule.permissions().end()}};
    }
    return out;
  }();
  return definitions;
}

bool IsWithinOneOf(std::string_view permission, const std::vector<std::string>& patterns) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) { return IsWithin(permission, pattern); });
}

}  // namespace

std::vector<Role> Roles::List() const {
  std::vector<Role> out;
  for (const auto& [role, defined] : Definitions()) {
    if (Has(role)) out.push_back(role);
  }
  return out;
}

std::string Roles::ToString() const {
  std::string out;
  for (const Role role : List()) out.append(out.empty() ? "" : ",").append(WordOfRole(role));
  return out;
}

std::string_view WordOfRole(Role role) {
  const auto found = Definitions().find(role);
  return found == Definitions().end() ? std::string_view() : found->second.word;
}

std::optional<Role> RoleOf(std::string_view word) {
  for (const auto& [role, defined] : Definitions()) {
    if (defined.word == word) return role;
  }
  return std::nullopt;
}

bool IsPermission(std::string_view text) {
  return std::ranges::all_of(Split(text), [](std::string_view part) {
    return !part.empty() &&
           std::ranges::all_of(part, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
  });
}

Roles RolesWith(std::string_view permission) {
  Roles out;
  for (const auto& [role, defined] : Definitions()) {
    if (IsWithinOneOf(permission, defined.patterns)) out.Add(role);
  }
  return out;
}

bool Covers(Roles held, Roles wanted) {
  std::vector<std::string> patterns;
  for (const Role role : held.List()) {
    const auto& more = Definitions().at(role).patterns;
    patterns.insert(patterns.end(), more.begin(), more.end());
  }
  return std::ranges::all_of(wanted.List(), [&](Role role) {
    return std::ranges::all_of(Definitions().at(role).patterns,
                               [&](const std::string& pattern) { return IsWithinOneOf(pattern, patterns); });
  });
}

}  // namespace allod
