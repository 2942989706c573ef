// Roles and what they permit, as proto/allod/access/v1/role.proto declares them. Pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "allod/access/v1/role.pb.h"

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
inline constexpr Roles kRolesOfKeys{Role::ROLE_ADMIN, Role::ROLE_DEVELOPER, Role::ROLE_BILLING, Role::ROLE_AUDITOR,
                                    Role::ROLE_VIEWER};

// "admin" of ROLE_ADMIN; empty for what is no role.
std::string_view WordOfRole(Role role);
std::optional<Role> RoleOf(std::string_view word);

// Whether it is "area.collection.verb", each of letters.
bool IsPermission(std::string_view text);
// Those that have it.
Roles RolesWith(std::string_view permission);
// Whether whoever has `held` may hand on `wanted`: each of the patterns that those roles are made of lies within one of
// the patterns of a role that is held, so that no method, not even a future one, is permitted to more than the maker.
bool Covers(Roles held, Roles wanted);

}  // namespace allod
