// Whom every method of every proto admits. A new method fails the test until it has its row.
#include "services/common/rpc/access.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <vector>

#include "proto/known_permissions.h"
#include "proto/testing/all_services.h"
#include "services/common/rpc/method.h"

namespace allod::access_test {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::MessageFactory;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// The reason of the refusal to each of them; empty: admitted.
constexpr char kSession[] = "0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e";
using Answers = std::array<const char*, 10>;
// The last two: an owner of a tenant above ke, who acts at ke, and one of a tenant below it.
const std::array<Caller, 10> kCallers = {Caller::Operator(),
                                         Caller::Service("gateway"),
                                         Caller::Node("n"),
                                         Caller::Node("m"),
                                         Caller::Tenant("ke"),
                                         Caller::Tenant("tz"),
                                         Caller::Key("ke", "p", {"portal"}),
                                         Caller::Key("ke", "q", {"portal"}),
                                         Caller::Below(Caller::Person("africa", kSession, {Role::ROLE_OWNER}), "ke"),
                                         Caller::Person("ke-health", kSession, {Role::ROLE_OWNER})};
constexpr char kNo[] = "NOT_ALLOWED";
constexpr char kNone[] = "NOT_FOUND";
constexpr char kWhole[] = "PROJECT_KEY";

//                            operator service node n node m tenant other  key p  key q  above  below
constexpr Answers kAnyone = {"", "", "", "", "", "", "", "", "", ""};
constexpr Answers kOperator = {"", kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo};
constexpr Answers kService = {kNo, "", kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo};
constexpr Answers kPlatform = {"", "", kNo, kNo, kNo, kNo, kNo, kNo, kNo, kNo};
constexpr Answers kPlatformOrTenant = {"", "", kNo, kNo, "", "", "", "", "", ""};
constexpr Answers kAbove = {"", kNo, kNo, kNo, kNo, kNone, kNo, kNo, "", kNone};
constexpr Answers kNodes = {kNo, kNo, "", "", kNo, kNo, kNo, kNo, kNo, kNo};
constexpr Answers kNodeItself = {kNo, kNo, "", kNo, kNo, kNo, kNo, kNo, kNo, kNo};
constexpr Answers kOperatorOrNodes = {"", kNo, "", "", kNo, kNo, kNo, kNo, kNo, kNo};
constexpr Answers kPlatformOrNodes = {"", "", "", "", kNo, kNo, kNo, kNo, kNo, kNo};
constexpr Answers kMembers = {"", "", kNo, kNo, "", kNone, "", "", "", kNone};
constexpr Answers kProject = {"", "", kNo, kNo, "", kNone, "", kNone, "", kNone};
constexpr Answers kTenantAsAWhole = {"", "", kNo, kNo, "", kNone, kWhole, kWhole, "", kNone};
constexpr Answers kTenantInAProject = {"", "", kNo, kNo, "", kNone, kWhole, kNone, "", kNone};

struct Row {
  Answers answers;
  std::string resource;  // what is asked about; empty: the rule names none
};

const std::string kTenantName = "tenants/ke";
const std::string kProjectName = "tenants/ke/projects/p";
const std::string kInstanceName = "tenants/ke/projects/p/instances/i";
const std::string kOperationName = "tenants/ke/operations/o";

const std::map<std::string, Row>& Rows() {
  static const std::map<std::string, Row> rows = {
      {"tenancy.CreateTenant", {kTenantAsAWhole, kTenantName}},
      {"tenancy.GetTenant", {kMembers, kTenantName}},
      {"tenancy.ListTenants", {kPlatformOrTenant, ""}},
      {"tenancy.UpdateTenant", {kAbove, kTenantName}},
      {"tenancy.SuspendTenant", {kAbove, kTenantName}},
      {"tenancy.ResumeTenant", {kAbove, kTenantName}},
      {"tenancy.DeleteTenant", {kAbove, kTenantName}},
      {"tenancy.UndeleteTenant", {kAbove, kTenantName}},
      {"tenancy.WatchTenants", {kService, ""}},
      {"tenancy.AcknowledgeTenants", {kService, ""}},
      {"tenancy.CreateProject", {kTenantAsAWhole, kTenantName}},
      {"tenancy.GetProject", {kProject, kProjectName}},
      {"tenancy.ListProjects", {kMembers, kTenantName}},
      {"tenancy.UpdateProject", {kTenantInAProject, kProjectName}},
      {"tenancy.GetQuotaUse", {kProject, kProjectName}},
      {"tenancy.CreateApiKey", {kProject, kProjectName}},
      {"tenancy.ListApiKeys", {kProject, kProjectName}},
      {"tenancy.RevokeApiKey", {kProject, kProjectName + "/apiKeys/k"}},
      {"tenancy.RotateApiKey", {kProject, kProjectName + "/apiKeys/k"}},
      {"tenancy.ReportApiKeyUse", {kService, ""}},
      {"tenancy.WatchApiKeys", {kService, ""}},
      {"tenancy.AcknowledgeApiKeys", {kService, ""}},
      {"tenancy.ListAuditEntries", {kTenantAsAWhole, kTenantName}},
      {"tenancy.GetAuditHead", {kTenantAsAWhole, kTenantName}},
      {"tenancy.EraseAuditPerson", {kTenantAsAWhole, kTenantName}},
      {"billing.ListAuditEntries", {kTenantAsAWhole, kTenantName}},
      {"billing.GetAuditHead", {kTenantAsAWhole, kTenantName}},
      {"tenancy.CreateIdentityProvider", {kTenantAsAWhole, kTenantName}},
      {"tenancy.GetIdentityProvider", {kMembers, kTenantName + "/identityProviders/i"}},
      {"tenancy.ListIdentityProviders", {kMembers, kTenantName}},
      {"tenancy.UpdateIdentityProvider", {kTenantAsAWhole, kTenantName + "/identityProviders/i"}},
      {"tenancy.DeleteIdentityProvider", {kTenantAsAWhole, kTenantName + "/identityProviders/i"}},
      {"tenancy.CreateMember", {kTenantAsAWhole, kTenantName}},
      {"tenancy.GetMember", {kTenantAsAWhole, kTenantName + "/members/m"}},
      {"tenancy.ListMembers", {kTenantAsAWhole, kTenantName}},
      {"tenancy.UpdateMember", {kTenantAsAWhole, kTenantName + "/members/m"}},
      {"tenancy.DeleteMember", {kTenantAsAWhole, kTenantName + "/members/m"}},
      {"tenancy.CreateRole", {kTenantAsAWhole, kTenantName}},
      {"tenancy.GetRole", {kMembers, kTenantName + "/roles/r"}},
      {"tenancy.ListRoles", {kMembers, kTenantName}},
      {"tenancy.UpdateRole", {kTenantAsAWhole, kTenantName + "/roles/r"}},
      {"tenancy.DeleteRole", {kTenantAsAWhole, kTenantName + "/roles/r"}},
      {"tenancy.BeginSession", {kService, ""}},
      {"tenancy.ReportRefusedSignIn", {kService, ""}},
      {"tenancy.ListSessions", {kTenantAsAWhole, kTenantName}},
      {"tenancy.EndSessions", {kTenantAsAWhole, kTenantName}},
      {"tenancy.CreateWorkloadRule", {kProject, kProjectName}},
      {"tenancy.GetWorkloadRule", {kProject, kProjectName + "/workloadRules/r"}},
      {"tenancy.ListWorkloadRules", {kProject, kProjectName}},
      {"tenancy.UpdateWorkloadRule", {kProject, kProjectName + "/workloadRules/r"}},
      {"tenancy.DeleteWorkloadRule", {kProject, kProjectName + "/workloadRules/r"}},
      {"tenancy.WatchIdentities", {kService, ""}},
      {"tenancy.AcknowledgeIdentities", {kService, ""}},
      {"billing.CreatePriceBook", {kPlatform, ""}},
      {"billing.GetPriceBook", {kAnyone, ""}},
      {"billing.SetBillingAccount", {kOperator, ""}},
      {"billing.GetBillingAccount", {kTenantAsAWhole, kTenantName + "/billingAccount"}},
      {"billing.Reserve", {kService, ""}},
      {"billing.Settle", {kService, ""}},
      {"billing.AdjustLease", {kService, ""}},
      {"billing.EndEarlierLeases", {kService, ""}},
      {"billing.WatchRecalls", {kService, ""}},
      {"billing.SettleBatch", {kService, ""}},
      {"billing.ListUsageRecords", {kMembers, kTenantName}},
      {"billing.QueryUsage", {kMembers, kTenantName}},
      {"billing.RebuildUsageReports", {kOperator, ""}},
      {"billing.RecordComputedUsage", {kNodes, ""}},
      {"billing.ListComputedUsage", {kMembers, kTenantName}},
      {"billing.RecordInstanceTime", {kService, ""}},
      {"billing.ListInstanceTime", {kMembers, kTenantName}},
      {"billing.CheckUsage", {kOperator, ""}},
      {"billing.ListLedgerAccounts", {kTenantAsAWhole, kTenantName}},
      {"billing.CheckLedger", {kOperator, ""}},
      {"billing.GetInvoice", {kMembers, kTenantName + "/invoices/current"}},
      {"billing.ListInvoices", {kTenantAsAWhole, kTenantName}},
      {"billing.GetInvoiceDocument", {kTenantAsAWhole, kTenantName + "/invoices/2026-10"}},
      {"billing.CreateEventSink", {kTenantAsAWhole, kTenantName}},
      {"billing.GetEventSink", {kTenantAsAWhole, kTenantName + "/eventSinks/s"}},
      {"billing.ListEventSinks", {kTenantAsAWhole, kTenantName}},
      {"billing.UpdateEventSink", {kTenantAsAWhole, kTenantName + "/eventSinks/s"}},
      {"billing.DeleteEventSink", {kTenantAsAWhole, kTenantName + "/eventSinks/s"}},
      {"billing.RotateEventSinkSecret", {kTenantAsAWhole, kTenantName + "/eventSinks/s"}},
      {"billing.TestEventSink", {kTenantAsAWhole, kTenantName + "/eventSinks/s"}},
      {"billing.ReplayEvents", {kTenantAsAWhole, kTenantName + "/eventSinks/s"}},
      {"billing.FinaliseInvoice", {kOperator, ""}},
      {"billing.CreateCreditNote", {kOperator, ""}},
      {"billing.SetPriceTerms", {kOperator, ""}},
      {"billing.RerateInvoice", {kOperator, ""}},
      {"billing.CreditServiceLevel", {kOperator, ""}},
      {"billing.GetPriceTerms", {kTenantAsAWhole, kTenantName + "/priceTerms/current"}},
      {"billing.ListPriceTerms", {kTenantAsAWhole, kTenantName}},
      {"billing.SetBillingProfile", {kOperator, ""}},
      {"billing.GetBillingProfile", {kTenantAsAWhole, kTenantName + "/billingProfile"}},
      {"billing.SetLegalEntity", {kOperator, ""}},
      {"billing.GetLegalEntity", {kOperator, ""}},
      {"billing.ListLegalEntities", {kOperator, ""}},
      {"billing.CreateBudget", {kTenantAsAWhole, kTenantName}},
      {"billing.GetBudget", {kTenantAsAWhole, kTenantName + "/budgets/b"}},
      {"billing.ListBudgets", {kTenantAsAWhole, kTenantName}},
      {"billing.UpdateBudget", {kTenantAsAWhole, kTenantName + "/budgets/b"}},
      {"billing.DeleteBudget", {kTenantAsAWhole, kTenantName + "/budgets/b"}},
      {"billing.SetRevenueShare", {kOperator, ""}},
      {"billing.ListRevenueShares", {kOperator, ""}},
      {"billing.FinalisePayout", {kOperator, ""}},
      {"billing.GetPayout", {kOperator, ""}},
      {"billing.ListPayouts", {kOperator, ""}},
      {"billing.GetPayoutDocument", {kOperator, ""}},
      {"billing.RecordPayoutPayment", {kOperator, ""}},
      {"billing.GetWallet", {kTenantAsAWhole, kTenantName + "/wallet"}},
      {"billing.UpdateWallet", {kTenantAsAWhole, kTenantName + "/wallet"}},
      {"billing.ListPayments", {kTenantAsAWhole, kTenantName}},
      {"billing.ListInvoiceBalances", {kTenantAsAWhole, kTenantName}},
      {"billing.RedeemVoucher", {kTenantAsAWhole, kTenantName + "/wallet"}},
      {"billing.TopUpWallet", {kOperator, ""}},
      {"billing.RefundWallet", {kOperator, ""}},
      {"billing.PayInvoice", {kOperator, ""}},
      {"billing.CreateVouchers", {kOperator, ""}},
      {"billing.ListVouchers", {kOperator, ""}},
      {"catalog.CreatePublisher", {kOperator, ""}},
      {"catalog.ListPublishers", {kAnyone, ""}},
      {"catalog.CreateModel", {kOperator, ""}},
      {"catalog.GetModel", {kAnyone, ""}},
      {"catalog.ListModels", {kAnyone, ""}},
      {"catalog.CreateVersion", {kOperator, ""}},
      {"catalog.GetVersion", {kAnyone, ""}},
      {"catalog.ListVersions", {kAnyone, ""}},
      {"catalog.CreateVariant", {kOperator, ""}},
      {"catalog.GetVariant", {kAnyone, ""}},
      {"catalog.ListVariants", {kAnyone, ""}},
      {"catalog.UploadArtifact", {kOperatorOrNodes, ""}},
      {"catalog.ReadArtifact", {kOperatorOrNodes, ""}},
      {"catalog.CreateListing", {kOperator, ""}},
      {"catalog.GetListing", {kAnyone, ""}},
      {"catalog.ListListings", {kAnyone, ""}},
      {"catalog.LeaseJob", {kNodeItself, "nodes/n"}},
      {"catalog.ReportJob", {kNodes, ""}},
      {"catalog.FinishJob", {kNodes, ""}},
      {"catalog.GetOperation", {kPlatform, ""}},
      {"catalog.ListOperations", {kPlatform, ""}},
      {"catalog.WaitOperation", {kPlatform, ""}},
      {"scheduling.ListAuditEntries", {kTenantAsAWhole, kTenantName}},
      {"scheduling.GetAuditHead", {kTenantAsAWhole, kTenantName}},
      {"scheduling.CreateInstance", {kProject, kProjectName}},
      {"scheduling.CreateQuote", {kProject, kProjectName}},
      {"scheduling.GetQuote", {kProject, kProjectName + "/quotes/q"}},
      {"scheduling.ListQuotes", {kProject, kProjectName}},
      {"scheduling.GetInstanceQuotaUse", {kProject, kProjectName}},
      {"scheduling.GetInstance", {kProject, kInstanceName}},
      {"scheduling.ListInstances", {kProject, kProjectName}},
      {"scheduling.UpdateInstance", {kProject, kInstanceName}},
      {"scheduling.DeleteInstance", {kProject, kInstanceName}},
      {"scheduling.GetOperation", {kMembers, kOperationName}},
      {"scheduling.ListOperations", {kMembers, kTenantName}},
      {"scheduling.WaitOperation", {kMembers, kOperationName}},
      {"scheduling.ListRegions", {kAnyone, ""}},
      {"scheduling.CreateRegion", {kOperator, ""}},
      {"scheduling.GetRegion", {kPlatform, ""}},
      {"scheduling.UpdateRegion", {kOperator, ""}},
      {"scheduling.ListRegionVersions", {kPlatform, ""}},
      {"scheduling.ListNodes", {kPlatform, ""}},
      {"scheduling.ListWorkers", {kPlatform, ""}},
      {"scheduling.WatchAssignments", {kNodeItself, "nodes/n"}},
      {"scheduling.ReportWorkers", {kNodeItself, "nodes/n"}},
      {"scheduling.WatchRoutes", {kService, ""}},
      {"scheduling.AcknowledgeRoutes", {kService, ""}},
      {"inference.Generate", {kPlatform, ""}},
      {"inference.Embed", {kPlatform, ""}},
      {"inference.GetWorkerStatus", {kPlatformOrNodes, ""}},
  };
  return rows;
}

class ProtoAccess : public testing::Test {
 protected:
  void SetUp() override {
    const char* source = std::getenv("ALLOD_SOURCE_DIR");
    ASSERT_NE(source, nullptr) << "run this through ctest";
    services_ = AllServices(source);
    ASSERT_GE(services_.size(), 20U);
  }

  // What is wrong with it is a failure of the test.
  void Add(const Result<Method>& method, const MethodDescriptor& described) {
    ASSERT_TRUE(method) << method.error().message;
    methods_.push_back({*method, &described});
  }
  void AddAll() {
    for (const ServiceDescriptor* service : services_) {
      bool makes_operations = false;
      for (int i = 0; i < service->method_count(); ++i) {
        const MethodDescriptor& method = *service->method(i);
        Add(DescribeMethod(method), method);
        EXPECT_TRUE(requests_.insert(method.input_type()->full_name()).second)
            << method.full_name() << ": another method has the same request";
        EXPECT_TRUE(DescribeMethodWith(*method.input_type())) << method.full_name();
        if (method.output_type()->full_name() != "google.longrunning.Operation") continue;
        makes_operations = true;
      }
      EXPECT_EQ(service->options().HasExtension(access::v1::operations), makes_operations) << service->full_name();
      if (makes_operations) AddOperations(*service);
    }
  }
  void AddOperations(const ServiceDescriptor& owner) {
    const ServiceDescriptor* operations =
        DescriptorPool::generated_pool()->FindServiceByName("google.longrunning.Operations");
    ASSERT_NE(operations, nullptr);
    for (const char* name : {"GetOperation", "ListOperations", "WaitOperation"}) {
      const MethodDescriptor& method = *operations->FindMethodByName(name);
      Add(DescribeOperationsMethod(owner, method), method);
    }
  }

  struct Described {
    Method method;
    const MethodDescriptor* descriptor;
  };
  std::vector<const ServiceDescriptor*> services_;
  std::set<std::string> requests_;
  std::vector<Described> methods_;
};

// A request with `resource` in the field that the method's rule names.
void SetResource(const Method& method, const std::string& resource, google::protobuf::Message& request) {
  google::protobuf::Message* at = &request;
  for (std::size_t i = 0; i + 1 < method.resource.size(); ++i) {
    at = at->GetReflection()->MutableMessage(at, method.resource[i]);
  }
  at->GetReflection()->SetString(at, method.resource.back(), resource);
}

TEST_F(ProtoAccess, EveryMethodAdmitsThoseOfItsRow) {
  AddAll();
  std::set<std::string> seen;
  for (const auto& [method, descriptor] : methods_) {
    EXPECT_TRUE(seen.insert(method.name).second) << method.name << ": there are two";
    const auto row = Rows().find(method.name);
    if (row == Rows().end()) {
      ADD_FAILURE() << method.name << ": a method needs a row here";
      continue;
    }
    EXPECT_EQ(method.resource.empty(), row->second.resource.empty()) << method.name;
    const std::unique_ptr<google::protobuf::Message> request(
        MessageFactory::generated_factory()->GetPrototype(descriptor->input_type())->New());
    if (!method.resource.empty()) SetResource(method, row->second.resource, *request);
    for (std::size_t i = 0; i < kCallers.size(); ++i) {
      const Status checked = CheckAccess(method, kCallers.at(i), ResourceOf(method, *request));
      EXPECT_EQ(checked ? "" : checked.error().reason, row->second.answers.at(i))
          << method.name << " as " << kCallers.at(i).ToString();
      // Only NOT_FOUND tells nothing of what there is.
      if (!checked) {
        EXPECT_EQ(checked.error().code, checked.error().reason == kNone ? Code::kNotFound : Code::kPermissionDenied);
      }
    }
  }
  EXPECT_EQ(seen.size(), Rows().size()) << "a row for a method that there is not";
}

// Asked by whoever, with whatever role, another tenant's things are not there.
TEST_F(ProtoAccess, NoRoleLeadsToAnotherTenant) {
  AddAll();
  int asked = 0;
  for (const auto& [method, descriptor] : methods_) {
    const access::v1::Who who = method.access.who();
    if (who != access::v1::WHO_TENANT && who != access::v1::WHO_MEMBER) continue;
    for (int role = access::v1::Role_MIN; role <= access::v1::Role_MAX; ++role) {
      const Roles roles{static_cast<Role>(role)};
      Caller whole = Caller::Tenant("tz");
      whole.roles = roles;
      // One below, and one from above who acts beside it.
      const Caller below = Caller::Person("ke-health", kSession, roles);
      const Caller beside = Caller::Below(Caller::Person("ke", kSession, roles), "ke-health");
      for (const Caller& caller : {whole, Caller::Key("tz", "p", {"inference", "portal"}, roles), below, beside}) {
        const std::string& resource = Rows().at(method.name).resource;
        for (const std::string& name : {resource, resource + "x", kTenantName, kProjectName + "/-"}) {
          const Status checked = CheckAccess(method, caller, name);
          ASSERT_FALSE(checked) << method.name << " as " << caller.ToString();
          EXPECT_EQ(checked.error().code, Code::kNotFound) << method.name << " as " << caller.ToString();
          ++asked;
        }
      }
    }
  }
  EXPECT_GT(asked, 1000);
}

// Who sees to the bills pays them with what somebody else has given, and says what may be spent; none of the others
// changes anything.
TEST_F(ProtoAccess, RolesThatOnlySeeChangeNothing) {
  AddAll();
  const std::map<Role, std::set<std::string>> may_change = {
      {Role::ROLE_BILLING,
       {"billing.budgets.create", "billing.budgets.delete", "billing.budgets.update", "billing.vouchers.redeem",
        "billing.wallets.update"}},
      {Role::ROLE_AUDITOR, {}},
      {Role::ROLE_VIEWER, {}},
      {Role::ROLE_REVIEWER, {}},
      {Role::ROLE_SUPPORT, {}},
      {Role::ROLE_OPERATOR_AUDITOR, {}}};
  for (const auto& [role, expected] : may_change) {
    std::set<std::string> changes;
    for (const auto& [method, descriptor] : methods_) {
      if (!method.roles.Has(role) ||
          std::regex_search(descriptor->name(), std::regex("^(Get|List|Query|Wait|Check)"))) {
        continue;
      }
      changes.insert(method.access.permission());
    }
    EXPECT_EQ(changes, expected) << access::v1::Role_Name(role);
  }
}

TEST_F(ProtoAccess, OperatorsWhoHelpSeeNoAuditLogsAndNoArtifacts) {
  AddAll();
  const Caller support = Caller::Operator({Role::ROLE_SUPPORT});
  const Caller auditor = Caller::Operator({Role::ROLE_OPERATOR_AUDITOR});
  int seen = 0;
  for (const auto& [method, descriptor] : methods_) {
    const std::string& permission = method.access.permission();
    const std::string& resource = Rows().at(method.name).resource;
    seen += CheckAccess(method, support, resource) ? 1 : 0;
    if (permission.ends_with("auditEntries.read")) {
      EXPECT_EQ(CheckAccess(method, support, resource).error().reason, "PERMISSION_MISSING") << method.name;
      EXPECT_TRUE(CheckAccess(method, auditor, resource)) << method.name;
    }
    if (permission == "catalog.artifacts.read") {
      EXPECT_FALSE(CheckAccess(method, support, resource));
      EXPECT_FALSE(CheckAccess(method, auditor, resource));
    }
  }
  EXPECT_GT(seen, 25);
}

// A custom role with everything in it leads a tenant where its owner's does, and no further.
TEST_F(ProtoAccess, ACustomRoleNeverPermitsWhatIsAnOperators) {
  AddAll();
  Rights everything;
  everything.Add(std::make_shared<const CustomRole>(CustomRole{"all", Permissions({"*.*.*"})}));
  Caller tenant = Caller::Tenant("ke");
  tenant.roles = everything;
  for (const auto& [method, descriptor] : methods_) {
    const std::string& resource = Rows().at(method.name).resource;
    EXPECT_EQ(CheckAccess(method, tenant, resource).has_value(),
              CheckAccess(method, Caller::Tenant("ke"), resource).has_value())
        << method.name;
  }
}

TEST_F(ProtoAccess, EveryPermissionIsKnownWithWhoseItIs) {
  AddAll();
  std::map<std::string, KnownPermission> known;
  for (const KnownPermission& one : KnownPermissions()) known[one.text] = one;
  std::map<std::string, KnownPermission> expected;
  for (const auto& [method, descriptor] : methods_) {
    const std::string& permission = method.access.permission();
    if (permission.starts_with("inference.")) continue;  // workers are reached by no role
    KnownPermission& one = expected[permission];
    const std::string& resource = Rows().at(method.name).resource;
    const Caller from_above = Caller::Below(Caller::Person("africa", kSession, {Role::ROLE_OWNER}), "ke");
    one.is_tenants = one.is_tenants || CheckAccess(method, Caller::Tenant("ke"), resource) ||
                     CheckAccess(method, from_above, resource);
    one.is_operators = one.is_operators || CheckAccess(method, Caller::Operator(), resource);
  }
  EXPECT_EQ(known.size(), expected.size());
  for (const auto& [permission, one] : expected) {
    EXPECT_EQ(known[permission].is_tenants, one.is_tenants) << permission;
    EXPECT_EQ(known[permission].is_operators, one.is_operators) << permission;
  }
}

TEST_F(ProtoAccess, EveryPatternOfARoleStandsForAMethod) {
  AddAll();
  const auto& type = *access::v1::Role_descriptor();
  for (int i = 1; i < type.value_count(); ++i) {
    for (const std::string& pattern : type.value(i)->options().GetExtension(access::v1::role).permissions()) {
      const std::string regex = "^" + std::regex_replace(pattern, std::regex("\\*"), "[a-zA-Z]+") + "$";
      EXPECT_TRUE(std::ranges::any_of(methods_,
                                      [&](const Described& described) {
                                        return std::regex_match(described.method.access.permission(),
                                                                std::regex(regex));
                                      }))
          << type.value(i)->name() << ": " << pattern;
    }
  }
}

TEST_F(ProtoAccess, OnlyListInstancesIsAskedAcrossProjects) {
  AddAll();
  const Caller key = Caller::Key("ke", "q", {"portal"});
  for (const auto& [method, descriptor] : methods_) {
    EXPECT_EQ(method.access.across_projects(), method.name == "scheduling.ListInstances") << method.name;
    if (!method.access.across_projects()) continue;
    EXPECT_TRUE(CheckAccess(method, key, "tenants/ke/projects/-"));
    EXPECT_EQ(CheckAccess(method, key, "tenants/tz/projects/-").error().code, Code::kNotFound);
  }
}

}  // namespace
}  // namespace allod::access_test
