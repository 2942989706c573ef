// Roles and what they permit, as proto/allod/access/v1/role.proto declares them. Pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "allod/access/v1/role.pb.h"
#include "services/common/permissions.h"

namespace allod {

using access::v1::Role;

// A set of roles: a few words in a register, because every call asks it.
class Roles {
 public:
  Roles() = default;
  constexpr Roles(std::initializer_list<Role> roles) {
    for (const Role role : roles) Add(role);
  }
  constexpr void Add(Role role) { bits_ |= BitOf(role); }
  constexpr void Add(Roles others) { bits_ |= others.bits_; }
  constexpr bool Has(Role role) const { return (bits_ & BitOf(role)) != 0; }
  constexpr bool HasAnyOf(Roles others) const { return (bits_ & others.bits_) != 0; }
  constexpr Roles InBoth(Roles others) const {
    Roles out;
    out.bits_ = bits_ & others.bits_;
    return out;
  }
  constexpr bool empty() const { return bits_ == 0; }
  bool operator==(const Roles&) const = default;
  // In the order of their numbers.
  std::vector<Role> List() const;
  // "admin,viewer"
  std::string ToString() const;

 private:
  static constexpr std::uint32_t BitOf(Role role) { return role > 0 && role < 32 ? std::uint32_t{1} << role : 0; }

  std::uint32_t bits_ = 0;
};

// Those that an API key can have.
inline constexpr Roles kRolesOfKeys{Role::ROLE_ADMIN,   Role::ROLE_DEVELOPER, Role::ROLE_BILLING,
                                    Role::ROLE_AUDITOR, Role::ROLE_VIEWER,    Role::ROLE_REVIEWER};
// Those of the operator's organisation.
inline constexpr Roles kRolesOfOperators{Role::ROLE_OPERATOR, Role::ROLE_SUPPORT, Role::ROLE_OPERATOR_AUDITOR};

// A role that a tenant made of permissions. Immutable.
struct CustomRole {
  std::string id;  // `{role}` of its name
  Permissions permits;

  bool operator==(const CustomRole&) const = default;
};

// What somebody may do: roles of the platform and a tenant's own together. A value that is cheap to copy.
class Rights {
 public:
  Rights() = default;
  Rights(Roles roles) : built_in_(roles) {}                        // NOLINT(google-explicit-constructor)
  Rights(std::initializer_list<Role> roles) : built_in_(roles) {}  // NOLINT(google-explicit-constructor)
  void Add(Role role) { built_in_.Add(role); }
  // For whose own roles permit everything beside.
  void ForgetCustom() { custom_.clear(); }
  // Each custom role once, by its id.
  void Add(std::shared_ptr<const CustomRole> role);
  void Add(const Rights& others);
  bool Has(Role role) const { return built_in_.Has(role); }
  Roles built_in() const { return built_in_; }
  // Ordered by id; never null.
  const std::vector<std::shared_ptr<const CustomRole>>& custom() const { return custom_; }
  bool empty() const { return built_in_.empty() && custom_.empty(); }
  // Whether one of them has the permission, which `roles` of the platform have.
  bool Permit(Roles roles, const Permission& permission) const;
  // "viewer,roles/on-call"
  std::string ToString() const;
  bool operator==(const Rights& other) const;

 private:
  Roles built_in_;
  std::vector<std::shared_ptr<const CustomRole>> custom_;
};

// "admin" of ROLE_ADMIN; empty for what is no role.
std::string_view WordOfRole(Role role);
std::optional<Role> RoleOf(std::string_view word);

// Those that have it.
Roles RolesWith(std::string_view permission);
// The patterns that a role is made of; none for what is no role.
const std::vector<std::string>& PatternsOf(Role role);
// What it is for, in a few words.
std::string_view SummaryOf(Role role);
// Whether whoever has `held` may hand on `wanted`: each of the patterns that those roles are made of lies within one of
// the patterns of a role that is held, so that no method, not even a future one, is permitted to more than the maker.
bool Covers(const Rights& held, const Rights& wanted);
// The same of the patterns themselves: the first that does not, or nothing.
std::optional<std::string> FirstBeyond(const Rights& held, const std::vector<std::string>& patterns);

}  // namespace allod
