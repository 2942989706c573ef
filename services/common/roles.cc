#include "services/common/roles.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <map>

namespace allod {
namespace {

struct Defined {
  std::string word;
  std::string summary;
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
      out[static_cast<Role>(value.number())] = {
          word, rule.summary(), {rule.permissions().begin(), rule.permissions().end()}};
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

Roles RolesWith(std::string_view permission) {
  Roles out;
  for (const auto& [role, defined] : Definitions()) {
    if (IsWithinOneOf(permission, defined.patterns)) out.Add(role);
  }
  return out;
}

const std::vector<std::string>& PatternsOf(Role role) {
  static const std::vector<std::string> none;
  const auto found = Definitions().find(role);
  return found == Definitions().end() ? none : found->second.patterns;
}

std::string_view SummaryOf(Role role) {
  const auto found = Definitions().find(role);
  return found == Definitions().end() ? std::string_view() : found->second.summary;
}

void Rights::Add(std::shared_ptr<const CustomRole> role) {
  const auto at = std::ranges::lower_bound(custom_, role->id, {}, [](const auto& one) { return one->id; });
  if (at == custom_.end() || (*at)->id != role->id) custom_.insert(at, std::move(role));
}

void Rights::Add(const Rights& others) {
  built_in_.Add(others.built_in_);
  for (const auto& role : others.custom_) Add(role);
}

bool Rights::Permit(Roles roles, const Permission& permission) const {
  return built_in_.HasAnyOf(roles) ||
         std::ranges::any_of(custom_, [&](const auto& role) { return role->permits.Has(permission); });
}

std::string Rights::ToString() const {
  std::string out = built_in_.ToString();
  for (const auto& role : custom_) out.append(out.empty() ? "" : ",").append("roles/").append(role->id);
  return out;
}

bool Rights::operator==(const Rights& other) const {
  return built_in_ == other.built_in_ &&
         std::ranges::equal(custom_, other.custom_, [](const auto& a, const auto& b) { return *a == *b; });
}

std::optional<std::string> FirstBeyond(const Rights& held, const std::vector<std::string>& patterns) {
  const std::vector<Role> built_in = held.built_in().List();
  const auto is_held = [&](const std::string& pattern) {
    return std::ranges::any_of(built_in, [&](Role role) { return IsWithinOneOf(pattern, PatternsOf(role)); }) ||
           std::ranges::any_of(held.custom(),
                               [&](const auto& role) { return IsWithinOneOf(pattern, role->permits.patterns()); });
  };
  const auto found = std::ranges::find_if_not(patterns, is_held);
  if (found == patterns.end()) return std::nullopt;
  return *found;
}

bool Covers(const Rights& held, const Rights& wanted) {
  return std::ranges::all_of(wanted.built_in().List(),
                             [&](Role role) { return !FirstBeyond(held, PatternsOf(role)); }) &&
         std::ranges::all_of(wanted.custom(),
                             [&](const auto& role) { return !FirstBeyond(held, role->permits.patterns()); });
}

}  // namespace allod
