#include "services/tenancy/maker.h"

namespace allod::tenancy {

Result<Maker> MakerOf(const Caller& caller) {
  if (!caller.is_key()) return Maker();
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
  if (!caller.is_key()) return {};
  Held out{.scopes = {}, .roles = caller.roles, .usual_roles = caller.roles};
  for (const std::string& word : caller.scopes) {
    if (const auto scope = ScopeOf(word)) out.scopes.insert(*scope);
  }
  return out;
}

}  // namespace allod::tenancy
