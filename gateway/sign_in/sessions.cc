#include "gateway/sign_in/sessions.h"

#include <algorithm>
#include <map>
#include <utility>

#include "gateway/access/bearer.h"

namespace allod::gateway::sign_in {
namespace {

std::unexpected<Error> Ended() {
  return Fail(
      Code::kUnauthenticated, "SESSION_ENDED",
      "this session holds no more: it was ended, your roles were taken away, or the tenant is suspended; sign in "
      "again");
}

}  // namespace

std::string PersonId(const std::string& provider, const std::string& subject) {
  return "people/" + Uuid::FromName(provider + "/subjects/" + subject).ToString();
}

Result<access::Principal> Sessions::Authenticate(std::string_view authorization,
                                                 const std::optional<IpAddress>& /*client*/) const {
  const Time now = clock_.Now();
  ALLOD_TRY(SessionToken token, sealer_.Open(access::BearerToken(authorization), now));
  const std::string tenant = TenantOf(token.provider);
  ALLOD_TRY(const std::shared_ptr<const federation::Trust> trust, table_.Find(tenant));
  const federation::Provider* provider = trust ? trust->ProviderNamed(token.provider) : nullptr;
  if (provider == nullptr && !table_.current()) return federation::TrustTable::NotSynced();
  if (provider == nullptr || provider->disabled || !provider->sign_in || trust->ended_sessions.contains(token.id)) {
    return Ended();
  }
  access::Principal out;
  std::map<std::string, Rights> at_projects;
  bool is_unknown = false;
  for (const SessionToken::Held& held : token.members) {
    const federation::Member* member = trust->MemberNamed(tenant + "/members/" + held.id);
    is_unknown = is_unknown || member == nullptr;
    if (member == nullptr || member->disabled || member->provider != token.provider ||
        ShortGrounds(*member) != held.grounds) {
      continue;
    }
    out.roles.Add(member->roles);
    for (const auto& [project, roles] : member->at_projects) at_projects[project].Add(roles);
  }
  if (out.roles.empty() && at_projects.empty()) {
    if (is_unknown && !table_.current()) return federation::TrustTable::NotSynced();
    return Ended();
  }
  for (const auto& [project, roles] : at_projects) out.project_roles.push_back({project, roles});
  out.id = PersonId(token.provider, token.subject);
  out.session = token.id.ToString();
  out.name = tenant + "/sessions/" + out.session;
  out.tenant = tenant;
  out.tenant_id = tenant.substr(tenant.find('/') + 1);
  out.portal = true;
  out.identity_provider = token.provider;
  out.subject = token.subject;
  out.display_name = token.display_name;
  out.renewed_credential = Renewed(std::move(token), now);
  return out;
}

Result<access::Principal> Sessions::AuthenticateToEnd(std::string_view authorization,
                                                      const std::optional<IpAddress>& client) const {
  Result<access::Principal> known = Authenticate(authorization, client);
  if (known || known.error().reason != "SESSION_ENDED") return known;
  ALLOD_TRY(const SessionToken token, sealer_.Open(access::BearerToken(authorization), clock_.Now()));
  const std::string tenant = TenantOf(token.provider);
  ALLOD_TRY(const std::shared_ptr<const federation::Trust> trust, table_.Find(tenant));
  if (trust != nullptr) return known;
  access::Principal out;
  out.id = PersonId(token.provider, token.subject);
  out.session = token.id.ToString();
  out.name = tenant + "/sessions/" + out.session;
  out.tenant = tenant;
  out.tenant_id = tenant.substr(tenant.find('/') + 1);
  out.identity_provider = token.provider;
  return out;
}

std::string Sessions::Renewed(SessionToken token, Time now) const {
  if (token.expire_time >= token.end_time || token.expire_time - now > idle_ / 2) return "";
  token.expire_time = std::min(Time(now + idle_), token.end_time);
  return sealer_.Seal(token).value_or("");
}

}  // namespace allod::gateway::sign_in
