#include "tests/integration/belongings.h"

#include <google/protobuf/timestamp.pb.h>

#include <chrono>
#include <stdexcept>

#include "services/common/digest.h"
#include "services/common/jose/base64url.h"
#include "services/common/rpc/timestamp.h"

namespace allod {
namespace {

using nlohmann::json;

std::string NewId(Belongings& of) {
  of.ids.push_back(Uuid::V7().ToString());
  return of.ids.back();
}

// A request that a gateway admitted from a lease, and settled; the lease stays.
void SettleLeased(const AllMethods& methods, Belongings& of, const std::string& instance, const std::string& key) {
  const std::string lease = NewId(of), id = NewId(of);
  methods.Must("billing.AdjustLease",
               {{"leaseId", lease},
                {"tenant", of.tenant},
                {"gatewayId", lease},
                {"epoch", 1},
                {"want", "0.01"},
                {"sendTime", json::parse(ToJson(ToTimestamp(std::chrono::system_clock::now())))}},
               Caller::Service("gateway"));
  const json usage = {{"requestId", id},
                      {"leaseId", lease},
                      {"instance", instance},
                      {"apiKey", key},
                      {"terms", {{"priceBook", Programs::kPriceBook}, {"variant", Programs::kVariant}}},
                      {"promptTokensMax", 10},
                      {"completionTokensMax", 10},
                      {"outcome", "OUTCOME_COMPLETED"},
                      {"promptTokens", 7},
                      {"completionTokens", 3}};
  const json settled = methods.Must("billing.SettleBatch", {{"tenant", of.tenant}, {"usage", json::array({usage})}},
                                    Caller::Service("gateway"));
  if (!settled.at("results").at(0).value("reason", "").empty()) {
    throw std::runtime_error("not settled: " + settled.dump());
  }
  of.names.push_back(of.tenant + "/usageRecords/" + id);
}

// A request that was held, answered and settled, and what its worker counted.
void Use(const AllMethods& methods, Belongings& of, const std::string& instance, const std::string& key) {
  const std::string id = NewId(of);
  const json time = json::parse(ToJson(ToTimestamp(std::chrono::system_clock::now() + std::chrono::minutes(10))));
  methods.Must("billing.Reserve",
               {{"requestId", id},
                {"tenant", of.tenant},
                {"instance", instance},
                {"variant", Programs::kVariant},
                {"priceBook", Programs::kPriceBook},
                {"apiKey", key},
                {"promptTokensMax", 10},
                {"completionTokensMax", 10},
                {"expireTime", time}},
               Caller::Service("gateway"));
  methods.Must("billing.Settle",
               {{"requestId", id},
                {"tenant", of.tenant},
                {"outcome", "OUTCOME_COMPLETED"},
                {"promptTokens", 7},
                {"completionTokens", 3}},
               Caller::Service("gateway"));
  SettleLeased(methods, of, instance, key);
  const json event = {
      {"eventId", "ring/" + id},   {"requestId", id},    {"tenantUid", Uuid::FromName(of.tenant).ToString()},
      {"instance", instance},      {"node", "nodes/n"},  {"replicaUid", id},
      {"promptTokensComputed", 7}, {"sampledTokens", 3}, {"outcome", "COMPUTED_OUTCOME_COMPLETED"},
      {"startTime", time},         {"endTime", time}};
  const json recorded =
      methods.Must("billing.RecordComputedUsage", {{"events", json::array({event})}}, Caller::Node("n"));
  if (recorded.value("recordedCount", 0) != 1) throw std::runtime_error("not recorded: " + recorded.dump());
  of.names.push_back(of.tenant + "/usageRecords/" + id);
}

// Bytes as JSON has them: 32, another 32 for each name.
std::string TokenDigest(const std::string& name) {
  std::string out = jose::EncodeBase64Url(Sha256Hex(name).substr(0, 32));
  while (out.size() % 4 != 0) out += '=';
  return out;
}

}  // namespace

void MakeTenant(const AllMethods& methods, const std::string& id) {
  const json seller = {{"displayName", "Allod"}, {"countryCode", "ke"}, {"taxId", "KE1"}};
  methods.Must(
      "billing.SetLegalEntity",
      {{"legalEntity",
        {{"name", "legalEntities/allod"}, {"party", seller}, {"invoicePrefix", "I-"}, {"creditNotePrefix", "C-"}}}});
  methods.Must(
      "tenancy.CreateTenant",
      {{"tenantId", id},
       {"tenant",
        {{"displayName", id + " " + kSecretText}, {"currencyCode", "KES"}, {"residency", json::array({"ke"})}}}});
  methods.Must("billing.SetBillingAccount",
               {{"billingAccount",
                 {{"name", "tenants/" + id + "/billingAccount"}, {"currencyCode", "KES"}, {"creditLimit", "100"}}}});
  methods.Must("billing.SetBillingProfile",
               {{"billingProfile",
                 {{"name", "tenants/" + id + "/billingProfile"},
                  {"legalEntity", "legalEntities/allod"},
                  {"party", {{"displayName", id + " " + kSecretText}, {"countryCode", "ke"}}},
                  {"taxCategory", "TAX_CATEGORY_STANDARD"},
                  {"taxBasisPoints", 1600}}}});
}

Belongings Furnish(const AllMethods& methods, const std::string& tenant_id, const std::string& project_id,
                   const std::string& word) {
  Belongings out;
  out.tenant = "tenants/" + tenant_id;
  out.project = out.tenant + "/projects/" + project_id;
  out.word = word;
  out.ids.push_back(Uuid::FromName(out.tenant).ToString());
  const std::string shown = word + " " + kSecretText;
  methods.Must("tenancy.CreateProject", {{"parent", out.tenant},
                                         {"projectId", project_id},
                                         {"project", {{"displayName", shown}}},
                                         {"requestId", NewId(out)}});
  // The tenant's, and known to all of its projects: made once.
  const std::string provider = out.tenant + "/identityProviders/pipelines";
  methods.Must("tenancy.CreateIdentityProvider", {{"parent", out.tenant},
                                                  {"identityProviderId", "pipelines"},
                                                  {"identityProvider",
                                                   {{"displayName", "of " + tenant_id},
                                                    {"issuer", "https://pipelines.example"},
                                                    {"audiences", json::array({"allod"})}}}});
  const std::string people = out.tenant + "/identityProviders/people";
  methods.Must("tenancy.CreateIdentityProvider", {{"parent", out.tenant},
                                                  {"identityProviderId", "people"},
                                                  {"identityProvider",
                                                   {{"displayName", "of " + tenant_id},
                                                    {"issuer", "https://people.example"},
                                                    {"signIn", {{"clientId", "allod"}}}}}});
  const std::string role = out.tenant + "/roles/looks";
  methods.Must(
      "tenancy.CreateRole",
      {{"parent", out.tenant},
       {"roleId", "looks"},
       {"role", {{"displayName", "of " + tenant_id}, {"permissions", json::array({"scheduling.instances.get"})}}}});
  for (const std::string nth : {"", "2"}) {
    const json made =
        methods.Must("tenancy.CreateApiKey",
                     {{"parent", out.project}, {"apiKey", {{"displayName", shown}}}, {"requestId", NewId(out)}});
    const std::string key = made.at("apiKey").at("name");
    out.kid = key.substr(key.rfind('/') + 1);
    const std::string rule = word + nth;
    methods.Must("tenancy.CreateWorkloadRule", {{"parent", out.project},
                                                {"workloadRuleId", rule},
                                                {"workloadRule",
                                                 {{"displayName", shown},
                                                  {"identityProvider", provider},
                                                  {"claims", json::array({{{"claim", "sub"}, {"equals", "main"}}})},
                                                  {"scopes", json::array({"SCOPE_PORTAL"})},
                                                  {"roles", json::array({"ROLE_VIEWER"})},
                                                  {"customRoles", json::array({role})}}}});
    const std::string member = out.tenant + "/members/" + word + nth;
    methods.Must("tenancy.CreateMember",
                 {{"parent", out.tenant},
                  {"memberId", word + nth},
                  {"member",
                   {{"displayName", shown},
                    {"identityProvider", people},
                    {"claims", json::array({{{"claim", "sub"}, {"equals", shown}}})},
                    {"grants", json::array({{{"resource", out.project}, {"roles", json::array({"ROLE_VIEWER"})}}})}}}});
    const json later = json::parse(ToJson(ToTimestamp(std::chrono::system_clock::now() + std::chrono::minutes(30))));
    const json session = methods.Must("tenancy.BeginSession",
                                      {{"parent", out.tenant},
                                       {"session",
                                        {{"identityProvider", people},
                                         {"subject", shown},
                                         {"displayName", shown},
                                         {"members", json::array({member})},
                                         {"client", "CLIENT_BROWSER"},
                                         {"clientAddress", "192.0.2.1"},
                                         {"expireTime", later}}},
                                       {"idTokenSha256", TokenDigest(member)}},
                                      Caller::Service("gateway"));
    out.names.push_back(session.at("name"));
    out.names.push_back(member);
    const std::string instance = out.project + "/instances/" + word + nth;
    const json operation = methods.Must(
        "scheduling.CreateInstance",
        {{"parent", out.project},
         {"instanceId", word + nth},
         {"instance",
          {{"spec", {{"listing", Programs::kListing}, {"variant", Programs::kVariant}, {"region", "regions/ke-1"}}}}},
         {"requestId", NewId(out)}});
    for (const std::string& name :
         {key, out.project + "/workloadRules/" + rule, instance, operation.at("name").get<std::string>()}) {
      out.names.push_back(name);
    }
    out.ids.push_back(
        methods.Must("scheduling.GetInstance", {{"name", instance}}, Caller::Tenant(tenant_id)).at("uid"));
    Use(methods, out, instance, key);
  }
  for (const std::string& name :
       {out.tenant, out.project, provider, role, out.tenant + "/billingAccount", out.tenant + "/billingProfile",
        out.tenant + "/wallet", out.tenant + "/invoices/current", out.tenant + "/projects/-", out.tenant + "/ledgerAccounts/receivable"}) {
    out.names.push_back(name);
  }
  return out;
}

}  // namespace allod
