#include "services/tenancy/audit_acts.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace allod::tenancy {
namespace {

// As many of them as a detail has room for.
std::string Listed(const std::vector<std::string>& words) {
  constexpr std::size_t kBytesMax = audit::kTextBytesMax - 32;
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (out.size() + words[i].size() > kBytesMax) return fmt::format("{} and {} more", out, words.size() - i);
    out.append(i == 0 ? "" : ",").append(words[i]);
  }
  return out;
}

std::string ScopeWords(const std::set<Scope>& scopes) {
  std::string out;
  for (const Scope scope : scopes) out.append(out.empty() ? "" : ",").append(WordOf(scope));
  return out;
}

// RFC 3339, to the second.
std::string InUtc(Time time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

// How far a key reaches.
void AddReach(const ApiKey& key, std::vector<audit::Detail>& details) {
  if (key.expire_time) details.push_back({"expire_time", InUtc(*key.expire_time)});
  if (!key.allowed_instances.empty()) details.push_back({"allowed_instances", Listed(key.allowed_instances)});
  std::vector<std::string> ranges;
  for (const IpRange& range : key.allowed_ip_ranges) ranges.push_back(range.ToString());
  if (!ranges.empty()) details.push_back({"allowed_ip_ranges", Listed(ranges)});
  if (key.limits.any()) details.push_back({"limits", DetailText(key.limits)});
}

// "instances=5,projects=2"; of none nothing.
std::string DetailText(const Quota& quota) {
  std::string out;
  for (const QuotaField& field : kQuotaFields) {
    if (quota.*field.value == 0) continue;
    out += fmt::format("{}{}={}", out.empty() ? "" : ",", field.name, quota.*field.value);
  }
  return out;
}

// "assistant:requests_per_minute=60;other:...".
std::string DetailText(const InstanceLimits& limits) {
  std::vector<std::string> words;
  for (const auto& [instance, of_instance] : limits) words.push_back(instance + ":" + DetailText(of_instance));
  return Listed(words);
}

// "PROMPTS=ke+tz,USAGE=ke".
std::string DetailText(const ClassResidency& rules) { return Listed(RuleWords(rules)); }

// What there is of quotas, limits and rules.
template <typename T>
void Add(const char* name, const T& value, std::vector<audit::Detail>& details) {
  if (value != T()) details.push_back({name, DetailText(value)});
}

template <typename T>
void AddChange(const std::string& name, const T& before, const T& after, std::vector<audit::Detail>& details) {
  if (before == after) return;
  details.push_back({name + "_before", DetailText(before)});
  details.push_back({name, DetailText(after)});
}

// "viewer,roles/on-call", with another separator.
std::string RoleWords(Roles roles, const std::vector<std::string>& custom, const char* separator) {
  std::vector<std::string> words;
  for (const Role role : roles.List()) words.emplace_back(WordOfRole(role));
  for (const std::string& id : custom) words.push_back("roles/" + id);
  return fmt::format("{}", fmt::join(words, separator));
}

// "tenant=owner+auditor", "projects/desk=viewer+roles/on-call".
std::string GrantText(const RoleGrant& grant) {
  return fmt::format("{}={}", grant.project.empty() ? "tenant" : "projects/" + grant.project,
                     RoleWords(grant.roles, grant.custom_roles, "+"));
}

std::vector<std::string> ClaimTexts(const std::vector<ClaimMatch>& claims) {
  std::vector<std::string> out;
  for (const ClaimMatch& match : claims) out.push_back(ToText(match));
  return out;
}

const std::string& SecretOf(const IdentityProvider& provider) {
  static const std::string none;
  return provider.sign_in ? provider.sign_in->sealed_secret : none;
}

audit::Act ProviderAct(std::string_view verb, const IdentityProvider& provider, std::string_view secret_before) {
  audit::Act out{.action = fmt::format("tenancy.identityProviders.{}", verb),
                 .resource = provider.name(),
                 .details = {{"issuer", Listed({provider.issuer})},
                             audit::Personal("audiences", Listed(provider.audiences)),
                             {"disabled", provider.disabled ? "true" : "false"},
                             audit::Personal("display_name", provider.display_name)}};
  if (provider.sign_in) {
    out.details.push_back(audit::Personal("client_id", provider.sign_in->client_id));
    out.details.push_back({"sign_in_scopes", Listed(provider.sign_in->scopes)});
  }
  if (SecretOf(provider) != secret_before) {
    out.details.push_back({"client_secret", SecretOf(provider).empty() ? "cleared" : "set"});
  }
  return out;
}

}  // namespace

audit::Act CreationOf(const Tenant& tenant) {
  std::string residency = fmt::format("{}", fmt::join(tenant.residency, ","));
  audit::Act out{.action = "tenancy.tenants.create",
                 .resource = tenant.name(),
                 .details = {{"currency_code", tenant.currency_code},
                             {"residency", std::move(residency)},
                             {"weight", std::to_string(tenant.weight)},
                             audit::Personal("display_name", tenant.display_name)}};
  if (!tenant.parent.empty()) out.details.push_back({"parent", "tenants/" + tenant.parent});
  Add("quota", tenant.quota, out.details);
  Add("limits", tenant.limits, out.details);
  Add("residency_rules", tenant.residency_rules, out.details);
  return out;
}

audit::Act ChangeOf(const Tenant& before, const Tenant& after) {
  audit::Act out{.action = "tenancy.tenants.update", .resource = after.name()};
  if (after.residency != before.residency) {
    out.details.push_back({"residency_before", Listed(before.residency)});
    out.details.push_back({"residency", Listed(after.residency)});
  }
  AddChange("residency_rules", before.residency_rules, after.residency_rules, out.details);
  if (after.weight != before.weight) {
    out.details.push_back({"weight_before", std::to_string(before.weight)});
    out.details.push_back({"weight", std::to_string(after.weight)});
  }
  if (after.display_name != before.display_name) {
    out.details.push_back(audit::Personal("display_name", after.display_name));
  }
  AddChange("quota", before.quota, after.quota, out.details);
  AddChange("limits", before.limits, after.limits, out.details);
  return out;
}

audit::Act StateOf(const Tenant& after) {
  if (after.state == TenantState::kActive) return {.action = "tenancy.tenants.resume", .resource = after.name()};
  return {.action = "tenancy.tenants.suspend",
          .resource = after.name(),
          .details = {audit::Personal("reason", after.suspend_reason)}};
}

audit::Act DeletionOf(const Tenant& after) {
  return {.action = "tenancy.tenants.delete",
          .resource = after.name(),
          .details = {{"purge_time", InUtc(after.deletion->purge_time)},
                      audit::Personal("reason", after.deletion->reason)}};
}

audit::Act UndeletionOf(const Tenant& after) {
  return {.action = "tenancy.tenants.undelete",
          .resource = after.name(),
          .details = {{"state", after.state == TenantState::kActive ? "active" : "suspended"}}};
}

audit::Act PurgeOf(const Tenant& after) {
  return {.action = "tenancy.tenants.purge",
          .resource = after.name(),
          .details = {{"state", after.state == TenantState::kDeleted ? "deleted" : "purging"}}};
}

audit::Act CreationOf(const Project& project) {
  audit::Act out{.action = "tenancy.projects.create",
                 .resource = project.name(),
                 .details = {audit::Personal("display_name", project.display_name)}};
  Add("quota", project.quota, out.details);
  Add("limits", project.limits, out.details);
  Add("instance_limits", project.instance_limits, out.details);
  return out;
}

audit::Act ChangeOf(const Project& before, const Project& after) {
  audit::Act out{.action = "tenancy.projects.update", .resource = after.name()};
  if (after.display_name != before.display_name) {
    out.details.push_back(audit::Personal("display_name", after.display_name));
  }
  AddChange("quota", before.quota, after.quota, out.details);
  AddChange("limits", before.limits, after.limits, out.details);
  AddChange("instance_limits", before.instance_limits, after.instance_limits, out.details);
  return out;
}

audit::Act CreationOf(const ApiKey& key) {
  audit::Act out{.action = "tenancy.apiKeys.create",
                 .resource = key.name(),
                 .details = {{"scopes", ScopeWords(key.scopes)},
                             {"roles", RoleWords(key.roles, key.custom_roles, ",")},
                             audit::Personal("display_name", key.display_name)}};
  AddReach(key, out.details);
  return out;
}

audit::Act RotationOf(const ApiKey& present, const ApiKey& successor) {
  audit::Act out{
      .action = "tenancy.apiKeys.rotate", .resource = present.name(), .details = {{"successor", successor.name()}}};
  const auto& ends = present.revoke_time ? present.revoke_time : present.expire_time;
  if (ends) out.details.push_back({"holds_until", InUtc(*ends)});
  return out;
}

audit::Act CreationOf(const IdentityProvider& provider) { return ProviderAct("create", provider, ""); }

audit::Act ChangeOf(const IdentityProvider& before, const IdentityProvider& after) {
  return ProviderAct("update", after, SecretOf(before));
}

audit::Act ActOn(std::string_view verb, const WorkloadRule& rule) {
  return {.action = fmt::format("tenancy.workloadRules.{}", verb),
          .resource = rule.name(),
          .details = {{"identity_provider", rule.provider},
                      audit::Personal("claims", Listed(ClaimTexts(rule.claims))),
                      {"scopes", ScopeWords(rule.scopes)},
                      {"roles", RoleWords(rule.roles, rule.custom_roles, ",")},
                      {"token_minutes", std::to_string(rule.token_minutes)},
                      {"disabled", rule.disabled ? "true" : "false"},
                      audit::Personal("display_name", rule.display_name)}};
}

audit::Act ActOn(std::string_view verb, const Member& member) {
  std::vector<std::string> grants;
  for (const RoleGrant& grant : member.grants) grants.push_back(GrantText(grant));
  return {.action = fmt::format("tenancy.members.{}", verb),
          .resource = member.name(),
          .details = {{"identity_provider", member.provider},
                      audit::Personal("claims", Listed(ClaimTexts(member.claims))),
                      {"grants", Listed(grants)},
                      {"disabled", member.disabled ? "true" : "false"},
                      audit::Personal("display_name", member.display_name)}};
}

audit::Act DeletionOf(const IdentityProvider& provider) {
  return {.action = "tenancy.identityProviders.delete", .resource = provider.name()};
}

audit::Act DeletionOf(const WorkloadRule& rule) {
  return {.action = "tenancy.workloadRules.delete", .resource = rule.name()};
}

audit::Act DeletionOf(const Member& member) { return {.action = "tenancy.members.delete", .resource = member.name()}; }

audit::Act ActOn(std::string_view verb, const TenantRole& role) {
  return {.action = fmt::format("tenancy.roles.{}", verb),
          .resource = role.name(),
          .details = {{"permissions", Listed(role.permissions)},
                      audit::Personal("display_name", role.display_name),
                      audit::Personal("summary", role.summary)}};
}

audit::Act ChangeOf(const TenantRole& before, const TenantRole& after) {
  audit::Act out = ActOn("update", after);
  if (before.permissions != after.permissions) {
    out.details.push_back({"permissions_before", Listed(before.permissions)});
  }
  return out;
}

audit::Act DeletionOf(const TenantRole& role) {
  return {.action = "tenancy.roles.delete",
          .resource = role.name(),
          .details = {{"permissions", Listed(role.permissions)}}};
}

audit::Act BeginningOf(const Session& session, std::int64_t ended) {
  audit::Act out{.action = "tenancy.sessions.begin",
                 .resource = session.name(),
                 .details = {{"identity_provider", session.person.provider},
                             {"members", Listed(session.members)},
                             {"client", session.client == SessionClient::kBrowser ? "browser" : "command_line"},
                             audit::Personal("subject", session.person.subject),
                             audit::Personal("display_name", session.display_name),
                             audit::Personal("client_address", session.client_address)}};
  if (ended > 0) out.details.push_back({"ended", std::to_string(ended)});
  return out;
}

audit::Act EndingOf(const Session& session) {
  return {.action = "tenancy.sessions.end", .resource = session.name(), .details = {{"ended", "1"}}};
}

audit::Act EndingOf(const std::string& tenant, const Person& person, int ended) {
  return {.action = "tenancy.sessions.end",
          .resource = fmt::format("tenants/{}/sessions", tenant),
          .details = {{"identity_provider", person.provider},
                      audit::Personal("subject", person.subject),
                      {"ended", std::to_string(ended)}}};
}

audit::Act ErasureOf(const std::string& resource, std::int64_t values) {
  return {
      .action = "tenancy.auditEntries.erase", .resource = resource, .details = {{"values", std::to_string(values)}}};
}

audit::Act RevocationOf(const ApiKey& key) { return {.action = "tenancy.apiKeys.revoke", .resource = key.name()}; }

}  // namespace allod::tenancy
