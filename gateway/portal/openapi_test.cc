#include "gateway/portal/openapi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "services/common/roles.h"

namespace allod::gateway::portal::openapi_test {
namespace {

using nlohmann::json;

constexpr char kCookie[] = "__Host-allod-session";

class OpenApi : public testing::Test {
 protected:
  static std::set<std::string> SchemesOf(const json& operation) {
    std::set<std::string> out;
    for (const json& one : operation.at("security")) {
      for (const auto& [scheme, scopes] : one.items()) out.insert(scheme);
    }
    return out;
  }
  OpenApi() {
    for (const auto& [path, methods] : document_["paths"].items()) {
      for (const auto& [method, operation] : methods.items()) {
        EXPECT_TRUE(operations_.emplace(operation["operationId"], operation).second) << operation["operationId"];
        by_path_[method + " " + path] = operation;
      }
    }
  }

  const Transcoder transcoder_ = *Transcoder::Build(PortalServices());
  const json document_ = json::parse(OpenApiJson(transcoder_, kCookie));
  std::map<std::string, json> operations_;
  std::map<std::string, json> by_path_;
};

TEST_F(OpenApi, BecomesAPath) {
  EXPECT_EQ(OpenApiPath(*PathTemplate::Parse("/v1/{name=tenants/*/projects/*/apiKeys/*}:revoke")),
            "/v1/tenants/{tenant}/projects/{project}/apiKeys/{apiKey}:revoke");
}

TEST_F(OpenApi, HasEveryAnnotatedMethod) {
  for (const PortalRoute& route : transcoder_.routes()) {
    const std::string id = route.method->service()->name() + "_" + route.method->name();
    const bool is_there = std::ranges::any_of(operations_, [&](const auto& one) { return one.first.ends_with(id); });
    EXPECT_TRUE(is_there) << id;
  }
  EXPECT_EQ(document_["components"]["schemas"]["GenerationParameters"]["properties"]["n"]["maximum"], 8);
}

TEST_F(OpenApi, SaysOfEachOperationWhoMayCallIt) {
  const std::set<std::string> people = {"sessionToken", "sessionCookie"};
  const std::set<std::string> all = {"apiKey", "workloadToken", "sessionToken", "sessionCookie"};
  for (const char* id : {"ProjectService_CreateProject", "ProjectService_UpdateProject",
                         "BillingAccountService_GetBillingAccount", "LedgerService_ListLedgerAccounts",
                         "MemberService_ListMembers", "MemberService_CreateMember", "SessionService_EndSessions"}) {
    const json& operation = operations_.at(id);
    EXPECT_EQ(SchemesOf(operation), people) << id << " is the tenant's as a whole";
    EXPECT_EQ(operation["x-callers"], json::array({"person"})) << id;
    EXPECT_NE(operation["description"].get<std::string>().find("PROJECT_KEY"), std::string::npos) << id;
  }
  for (const char* id :
       {"ProjectService_GetProject", "ProjectService_ListProjects", "TenantService_GetTenant",
        "InstanceService_CreateInstance", "InstanceService_UpdateInstance", "ListingService_ListListings",
        "UsageService_ListUsageRecords", "ComputedUsageService_ListComputedUsage", "InvoiceService_GetInvoice",
        "Operations_ListOperations"}) {
    const json& operation = operations_.at(id);
    EXPECT_EQ(SchemesOf(operation), all) << id;
    EXPECT_EQ(operation["x-callers"], json::array({"api_key", "workload", "person"})) << id;
    EXPECT_FALSE(operation.contains("description")) << id;
  }
  for (const char* id : {"TenantService_UpdateTenant", "TenantService_SuspendTenant", "TenantService_ResumeTenant",
                         "TenantService_DeleteTenant", "TenantService_UndeleteTenant"}) {
    const json& operation = operations_.at(id);
    EXPECT_EQ(SchemesOf(operation), people) << id;
    EXPECT_EQ(operation["x-callers"], json::array({"person"})) << id;
    EXPECT_NE(operation["description"].get<std::string>().find("above"), std::string::npos) << id;
  }
  EXPECT_EQ(SchemesOf(operations_.at("CreateChatCompletion")), (std::set<std::string>{"apiKey", "workloadToken"}));
  // What is called alike in several areas.
  for (const char* id : {"TenancyAuditService_ListAuditEntries", "BillingAuditService_GetAuditHead"}) {
    EXPECT_EQ(SchemesOf(operations_.at(id)), people) << id;
  }
  // One method, two paths, each with its own answer.
  EXPECT_EQ(SchemesOf(by_path_.at("get /portal/v1/tenants/{tenant}/quotaUse")), people);
  EXPECT_EQ(SchemesOf(by_path_.at("get /portal/v1/tenants/{tenant}/projects/{project}/quotaUse")), all);
}

TEST_F(OpenApi, NamesThePermissionAndItsRoles) {
  for (const auto& [id, operation] : operations_) {
    if (operation["tags"][0] == "OpenAI") continue;
    const std::string permission = operation.at("x-permission");
    EXPECT_TRUE(IsPermission(permission)) << id << " " << permission;
    EXPECT_FALSE(operation.at("x-roles").empty()) << id;
    for (const json& role : operation.at("x-roles")) {
      EXPECT_TRUE(RolesWith(permission).Has(*RoleOf(role.get<std::string>()))) << id << " " << role;
      EXPECT_NE(role, "operator") << id;
    }
  }
  EXPECT_EQ(operations_.at("Operations_WaitOperation")["x-permission"], "scheduling.operations.wait");
  EXPECT_EQ(operations_.at("MemberService_CreateMember")["x-permission"], "tenancy.members.create");
}

TEST_F(OpenApi, DescribesItsSchemesAndOnlyThose) {
  const json& schemes = document_["components"]["securitySchemes"];
  EXPECT_EQ(schemes["sessionCookie"]["name"], kCookie);
  EXPECT_NE(schemes["sessionCookie"]["description"].get<std::string>().find("OTHER_ORIGIN"), std::string::npos);
  for (const auto& [id, operation] : operations_) {
    for (const std::string& scheme : SchemesOf(operation)) EXPECT_TRUE(schemes.contains(scheme)) << id << " " << scheme;
  }
  const json without = json::parse(OpenApiJson(transcoder_, ""));
  EXPECT_FALSE(without["components"]["securitySchemes"].contains("sessionCookie"));
  EXPECT_EQ(without.dump().find("\"sessionCookie\""), std::string::npos);
}

TEST_F(OpenApi, NamesTheReasonsOfRefusals) {
  const json& responses = document_["components"]["responses"];
  EXPECT_TRUE(responses["Forbidden"]["x-reasons"].contains("PERMISSION_MISSING"));
  EXPECT_TRUE(responses["Unauthenticated"]["x-reasons"].contains("SESSION_EXPIRED"));
  const json& create = operations_.at("MemberService_CreateMember")["responses"];
  for (const char* status : {"200", "400", "401", "403", "404", "409", "429", "503", "default"}) {
    EXPECT_TRUE(create.contains(status)) << status;
  }
  EXPECT_FALSE(operations_.at("MemberService_ListMembers")["responses"].contains("409")) << "it changes nothing";
}

TEST_F(OpenApi, EveryReferenceResolves) {
  const auto flat = document_.flatten();
  int references = 0;
  for (const auto& [path, value] : flat.items()) {
    if (!path.ends_with("/$ref")) continue;
    ++references;
    EXPECT_TRUE(document_.contains(json::json_pointer(value.get<std::string>().substr(1)))) << value;
  }
  EXPECT_GT(references, 50);
}

}  // namespace
}  // namespace allod::gateway::portal::openapi_test
