#include "services/tenancy/maker.h"

namespace allod::tenancy {

Result<Maker> MakerOf(const Caller& caller) {
  if (!caller.in_project() || caller.is_person()) return Maker();
  if (!caller.kid.empty()) return Maker(caller.kid);
  if (!caller.rule.empty()) {
    return Fail(
        Code::kPermissionDenied, "WORKLOAD_GRANTS_NOTHING",
        "a workload's token holds for minutes, so it makes neither API keys nor workload rules; use an API key, "
        "or ask an operator");
  }
  return Fail(Code::kUnauthenticated, "NO_CALLER",
              "the caller acts for a project without saying by which API key, so that it is not known what it may hand "
              "on; the gateway may be older than this service");
}

Held HeldBy(const Caller& caller) {
  if (caller.is_person()) {
    // An owner hands on what keys can have; a custom role only by name.
    const Roles usual =
        caller.roles.Has(Role::ROLE_OWNER) ? Roles{Role::ROLE_ADMIN} : caller.roles.built_in().InBoth(kRolesOfKeys);
    return {.scopes = EveryScope(), .roles = caller.roles, .usual_roles = usual};
  }
  // Whoever only looks, for the operator, hands on nothing.
  if (caller.kind == Caller::Kind::kOperator && !caller.roles.Has(Role::ROLE_OPERATOR)) {
    return {.scopes = {}, .roles = {}, .usual_roles = {}};
  }
  if (!caller.in_project()) return {};
  Held out{.scopes = {}, .roles = caller.roles, .usual_roles = caller.roles.built_in()};
  for (const auto& role : caller.roles.custom()) out.usual_custom_roles.push_back(role->id);
  for (const std::string& word : caller.scopes) {
    if (const auto scope = ScopeOf(word)) out.scopes.insert(*scope);
  }
  return out;
}

}  // namespace allod::tenancy
