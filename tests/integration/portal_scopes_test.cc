// Every method of the portal API, asked by a key of the project that the thing is in and by a key of another one. A new
// method fails the test until it has its row here.
#include <gmock/gmock.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>

#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "allod/billing/v1/audit.grpc.pb.h"
#include "allod/scheduling/v1/audit.grpc.pb.h"
#include "allod/tenancy/v1/audit.grpc.pb.h"
#include "gateway/portal/transcoder.h"
#include "services/billing/analysis/testing/usage_of_two_projects.h"
#include "services/billing/analysis/usage_report_service.h"
#include "services/billing/billing_account_service.h"
#include "services/billing/budget/budget_service.h"
#include "services/billing/budget/testing/no_budgets.h"
#include "services/billing/computed_usage_service.h"
#include "services/billing/documents/testing/fake_documents.h"
#include "services/billing/events/event_sink_service.h"
#include "services/billing/events/testing/fake_event_store.h"
#include "services/billing/instance_time/instance_time_service.h"
#include "services/billing/instance_time/testing/fake_instance_time_store.h"
#include "services/billing/invoice_service.h"
#include "services/billing/ledger_service.h"
#include "services/billing/price_book_service.h"
#include "services/billing/terms/terms_service.h"
#include "services/billing/terms/testing/fake_terms_store.h"
#include "services/billing/testing/fake_store.h"
#include "services/billing/usage_service.h"
#include "services/billing/wallet/testing/no_wallets.h"
#include "services/billing/wallet/wallet_service.h"
#include "services/common/rpc/client.h"
#include "services/scheduling/testing/scheduling_on_fakes.h"
#include "services/tenancy/api_key_service.h"
#include "services/tenancy/identity_provider_service.h"
#include "services/tenancy/member_service.h"
#include "services/tenancy/project_service.h"
#include "services/tenancy/quota_service.h"
#include "services/tenancy/role_service.h"
#include "services/tenancy/session_service.h"
#include "services/tenancy/tenant_service.h"
#include "services/tenancy/testing/fake_identity_store.h"
#include "services/tenancy/testing/fake_store.h"
#include "services/tenancy/workload_rule_service.h"
#include "tests/support/temp_dir.h"

namespace allod::portal_scopes_test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class Directory final : public billing::TenantDirectory {
 public:
  Result<std::string> CurrencyOf(const std::string&) override { return "KES"; }
};

// An audit log of which nobody here sees an entry: who asks is refused before.
template <typename Service, typename ListRequest, typename HeadRequest>
class EmptyAuditLog : public Service::Service {
 public:
  grpc::Status ListAuditEntries(grpc::ServerContext* context, const ListRequest* request,
                                audit::v1::AuditEntries* response) override {
    return Handle(context, request, response,
                  [](const Call&) -> Result<audit::v1::AuditEntries> { return audit::v1::AuditEntries(); });
  }
  grpc::Status GetAuditHead(grpc::ServerContext* context, const HeadRequest* request,
                            audit::v1::AuditHead* response) override {
    return Handle(context, request, response,
                  [](const Call&) -> Result<audit::v1::AuditHead> { return audit::v1::AuditHead(); });
  }
};

class EmptyTenancyLog final : public EmptyAuditLog<tenancy::v1::AuditService, tenancy::v1::ListAuditEntriesRequest,
                                                   tenancy::v1::GetAuditHeadRequest> {
 public:
  grpc::Status EraseAuditPerson(grpc::ServerContext* context, const tenancy::v1::EraseAuditPersonRequest* request,
                                tenancy::v1::EraseAuditPersonResponse* response) override {
    return Handle(context, request, response, [](const Call&) -> Result<tenancy::v1::EraseAuditPersonResponse> {
      return tenancy::v1::EraseAuditPersonResponse();
    });
  }
};

// The services that the portal leads to, on stores in memory, behind one server. Tenant ke has the projects p and q; p
// has a key, an instance, an operation and a usage record.
class PortalScopes : public testing::Test {
 protected:
  void SetUp() override {
    const std::string address = "unix:" + (sockets_ / "s.sock").string();
    server_ = *Server::Start({.listen = address}, {&tenants_,
                                                   &projects_,
                                                   &quotas_,
                                                   &keys_,
                                                   &providers_,
                                                   &rules_,
                                                   &members_,
                                                   &roles_,
                                                   &sessions_,
                                                   &accounts_,
                                                   &usage_reports_,
                                                   &books_,
                                                   &usage_,
                                                   &computed_,
                                                   &times_,
                                                   &invoices_,
                                                   &price_terms_,
                                                   &ledger_,
                                                   &event_sinks_,
                                                   &wallets_,
                                                   &budgets_,
                                                   &scheduling_.instances,
                                                   &scheduling_.quotes,
                                                   &scheduling_.operations,
                                                   &tenancy_audit_,
                                                   &scheduling_audit_,
                                                   &billing_audit_});
    stub_ = std::make_unique<grpc::GenericStub>(MakeChannel(address));
    scheduling_.reconciler.Start();
    feed_.Start();
    Must("allod.tenancy.v1.TenantService.CreateTenant",
         R"({"tenantId":"ke","tenant":{"displayName":"Kenya","currencyCode":"KES","residency":["ke"]}})");
    for (const char* id : {"p", "q"}) {
      Must("allod.tenancy.v1.ProjectService.CreateProject",
           std::string(R"({"parent":"tenants/ke","projectId":")") + id + R"(","project":{"displayName":"Project"}})");
    }
    const auto key = Must("allod.tenancy.v1.ApiKeyService.CreateApiKey", R"({"parent":"tenants/ke/projects/p"})");
    key_name_ = key.at("apiKey").at("name").get<std::string>();
    // The one that asks is another: it is still there when that one has been revoked.
    const auto asks = Must("allod.tenancy.v1.ApiKeyService.CreateApiKey", R"({"parent":"tenants/ke/projects/p"})");
    const std::string asking = asks.at("apiKey").at("name").get<std::string>();
    asking_kid_ = asking.substr(asking.rfind('/') + 1);
    Must("allod.tenancy.v1.IdentityProviderService.CreateIdentityProvider", kCreateProvider);
    Must("allod.tenancy.v1.WorkloadRuleService.CreateWorkloadRule", kCreateRule);
    Must("allod.tenancy.v1.RoleService.CreateRole", kCreateRole);
    Must("allod.tenancy.v1.MemberService.CreateMember", kCreateMember);
    const auto created = Must("allod.scheduling.v1.InstanceService.CreateInstance", kCreateInstance);
    operation_ = created.at("name").get<std::string>();
    quote_ = Must("allod.scheduling.v1.QuoteService.CreateQuote", kCreateQuote).at("name").get<std::string>();
    const std::string book = "priceBooks/" + Uuid::V7(clock_.Now()).ToString();
    Must("allod.billing.v1.PriceBookService.CreatePriceBook",
         R"({"priceBook":{"name":")" + book +
             R"(","listing":"listings/l","prices":[{"currencyCode":"KES",)"
             R"("promptPricePerMillion":"1","completionPricePerMillion":"2"}]}})");
    Must("allod.billing.v1.BillingAccountService.SetBillingAccount",
         R"({"billingAccount":{"name":"tenants/ke/billingAccount","currencyCode":"KES","creditLimit":"100"}})");
    const std::string request = Uuid::V7(clock_.Now()).ToString();
    const auto expires =
        std::chrono::duration_cast<std::chrono::seconds>(clock_.Now().time_since_epoch()).count() + 600;
    billing::v1::ReserveRequest reserve;
    reserve.set_request_id(request);
    reserve.set_tenant("tenants/ke");
    reserve.set_instance(kInstance);
    reserve.set_variant("models/m/versions/1/variants/q4_k_m");
    reserve.set_price_book(book);
    reserve.set_api_key(key_name_);
    reserve.set_prompt_tokens_max(10);
    reserve.set_completion_tokens_max(10);
    reserve.mutable_expire_time()->set_seconds(expires);
    Must("allod.billing.v1.UsageService.Reserve", ToJson(reserve), Caller::Service("gateway"));
    Must("allod.billing.v1.UsageService.Settle",
         R"({"requestId":")" + request +
             R"(","tenant":"tenants/ke","outcome":"OUTCOME_COMPLETED","promptTokens":7,)"
             R"("completionTokens":3})",
         Caller::Service("gateway"));
    Must("allod.billing.v1.ComputedUsageService.RecordComputedUsage", ToJson(ComputedOf(request)), Caller::Node("n"));
    Must("allod.billing.v1.InstanceTimeService.RecordInstanceTime", ToJson(TimeOf(book)),
         Caller::Service("scheduling"));
  }
  // How long it answered.
  billing::v1::RecordInstanceTimeRequest TimeOf(const std::string& book) const {
    billing::v1::RecordInstanceTimeRequest out;
    out.set_tenant("tenants/ke");
    billing::v1::InstanceInterval& interval = *out.add_intervals();
    interval.set_replica_uid(Uuid::V7().ToString());
    interval.set_instance(kInstance);
    interval.set_generation(1);
    interval.set_variant("models/m/versions/1/variants/q4_k_m");
    interval.set_price_book(book);
    interval.set_isolation_class("isolated");
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.Now().time_since_epoch()).count();
    interval.mutable_start_time()->set_seconds(now);
    interval.mutable_until_time()->set_seconds(now + 60);
    return out;
  }
  // What a node tells of it.
  static billing::v1::RecordComputedUsageRequest ComputedOf(const std::string& request) {
    billing::v1::RecordComputedUsageRequest out;
    billing::v1::ComputedUsage& event = *out.add_events();
    event.set_event_id("ring/1");
    event.set_request_id(request);
    event.set_tenant_uid(TenantId::FromName("tenants/ke")->ToString());
    event.set_instance(kInstance);
    event.set_node("nodes/n");
    event.set_replica_uid(Uuid::V7().ToString());
    event.set_prompt_tokens_computed(7);
    event.set_sampled_tokens(3);
    event.set_outcome(billing::v1::COMPUTED_OUTCOME_COMPLETED);
    event.mutable_start_time()->set_seconds(1'700'000'000);
    event.mutable_end_time()->set_seconds(1'700'000'001);
    return out;
  }
  void TearDown() override {
    feed_.Stop();
    scheduling_.reconciler.Stop();
    scheduling_.driver.Stop();
    server_->Stop(1s);
  }

  static std::string ToJson(const google::protobuf::Message& message) {
    std::string out;
    EXPECT_TRUE(google::protobuf::util::MessageToJsonString(message, &out).ok());
    return out;
  }

  // The answer as JSON.
  Result<std::string> Ask(const google::protobuf::MethodDescriptor& method, const std::string& json,
                          const Caller& caller) {
    auto& factory = *google::protobuf::MessageFactory::generated_factory();
    const std::unique_ptr<google::protobuf::Message> request(factory.GetPrototype(method.input_type())->New());
    const auto parsed = google::protobuf::util::JsonStringToMessage(json, request.get());
    EXPECT_TRUE(parsed.ok()) << method.full_name() << ": " << parsed.ToString();
    const grpc::Slice slice(request->SerializeAsString());
    const grpc::ByteBuffer sent(&slice, 1);
    grpc::ByteBuffer received;
    const auto context = MakeContext(caller, 10s);
    std::promise<grpc::Status> done;
    const std::string path = "/" + std::string(method.service()->full_name()) + "/" + method.name();
    stub_->UnaryCall(context.get(), path, grpc::StubOptions(), &sent, &received,
                     [&](grpc::Status status) { done.set_value(std::move(status)); });
    const grpc::Status status = done.get_future().get();
    if (!status.ok()) return std::unexpected(FromGrpc(status));
    std::vector<grpc::Slice> slices;
    EXPECT_TRUE(received.Dump(&slices).ok());
    std::string bytes;
    for (const auto& part : slices) bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
    const std::unique_ptr<google::protobuf::Message> answer(factory.GetPrototype(method.output_type())->New());
    EXPECT_TRUE(answer->ParseFromString(bytes));
    return ToJson(*answer);
  }
  nlohmann::json Must(const std::string& method, const std::string& json, const Caller& caller = Caller::Operator()) {
    const auto* found = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(method);
    EXPECT_NE(found, nullptr) << method;
    const auto answer = Ask(*found, json, caller);
    EXPECT_TRUE(answer) << method << ": " << answer.error().message;
    return nlohmann::json::parse(answer.value_or("{}"));
  }

  static constexpr char kInstance[] = "tenants/ke/projects/p/instances/i";
  static constexpr char kCreateQuote[] =
      R"({"parent":"tenants/ke/projects/p","quote":{"spec":{"listing":"listings/l",)"
      R"("variant":"models/m/versions/1/variants/q4_k_m","region":"regions/ke-1"}}})";
  static constexpr char kCreateInstance[] =
      R"({"parent":"tenants/ke/projects/p","instanceId":"i","instance":{"spec":{"listing":"listings/l",)"
      R"("variant":"models/m/versions/1/variants/q4_k_m","region":"regions/ke-1"}}})";

  static constexpr char kCreateProvider[] =
      R"({"parent":"tenants/ke","identityProviderId":"ci","identityProvider":{"displayName":"CI",)"
      R"("issuer":"https://ci.example","audiences":["allod"],"signIn":{"clientId":"allod"}}})";
  static constexpr char kCreateMember[] =
      R"({"parent":"tenants/ke","memberId":"achieng","member":{"displayName":"Achieng",)"
      R"("identityProvider":"tenants/ke/identityProviders/ci","claims":[{"claim":"sub","equals":"4711"}],)"
      R"("grants":[{"resource":"tenants/ke/projects/p","roles":["ROLE_ADMIN"]}]}})";
  static constexpr char kCreateRole[] = R"({"parent":"tenants/ke","roleId":"on-call","role":{"displayName":"On call",)"
                                        R"("permissions":["scheduling.instances.get"]}})";
  static constexpr char kCreateRule[] =
      R"({"parent":"tenants/ke/projects/p","workloadRuleId":"deploy","workloadRule":{"displayName":"Deployments",)"
      R"("identityProvider":"tenants/ke/identityProviders/ci","claims":[{"claim":"sub","equals":"main"}],)"
      R"("scopes":["SCOPE_PORTAL"],"roles":["ROLE_VIEWER"]}})";

  SystemClock clock_;
  tenancy::FakeStore tenancy_store_;
  tenancy::KeyFeed feed_{tenancy_store_, clock_};
  tenancy::CallGates tenancy_gates_;
  tenancy::TenantFeed tenant_feed_{tenancy_store_};
  tenancy::TenantServiceImpl tenants_{tenancy_store_, tenant_feed_, clock_,
                                      tenancy_gates_, "ke",         [](const auto&...) {}};
  tenancy::ProjectServiceImpl projects_{tenancy_store_, clock_, tenancy_gates_, [](const auto&...) {}};
  tenancy::QuotaServiceImpl quotas_{tenancy_store_, clock_, tenancy_gates_};
  tenancy::ApiKeyServiceImpl keys_{tenancy_store_, feed_, clock_, tenancy_gates_, "a pepper of some length"};
  tenancy::FakeIdentityStore identity_store_{tenancy_store_};
  tenancy::IdentityFeed identity_feed_{identity_store_, clock_};
  const tenancy::ClientSecrets client_secrets_{"a pepper of some length"};
  tenancy::IdentityServiceImpl identities_{identity_feed_, client_secrets_};
  tenancy::IdentityProviderServiceImpl providers_{identity_store_, identities_, client_secrets_, clock_,
                                                  tenancy_gates_};
  tenancy::WorkloadRuleServiceImpl rules_{identity_store_, tenancy_store_, identities_, clock_, tenancy_gates_};
  tenancy::MemberServiceImpl members_{identity_store_, identity_store_, tenancy_store_,
                                      identities_,     clock_,          tenancy_gates_};
  tenancy::RoleServiceImpl roles_{identity_store_, identities_, clock_, tenancy_gates_};
  tenancy::SessionServiceImpl sessions_{identity_store_, identities_, clock_, tenancy_gates_};
  EmptyTenancyLog tenancy_audit_;
  EmptyAuditLog<scheduling::v1::AuditService, scheduling::v1::ListAuditEntriesRequest,
                scheduling::v1::GetAuditHeadRequest>
      scheduling_audit_;
  EmptyAuditLog<billing::v1::AuditService, billing::v1::ListAuditEntriesRequest, billing::v1::GetAuditHeadRequest>
      billing_audit_;
  Directory directory_;
  billing::FakeStore billing_store_;
  billing::CallGates gates_;
  billing::BillingAccountServiceImpl accounts_{billing_store_, directory_, clock_, gates_};
  billing::PriceBookServiceImpl books_{billing_store_, clock_, gates_};
  billing::UsageServiceImpl usage_{billing_store_, clock_, gates_};
  billing::ComputedUsageServiceImpl computed_{billing_store_, clock_, gates_};
  billing::instance_time::FakeInstanceTimeStore time_store_{billing_store_, clock_};
  billing::instance_time::InstanceTimeServiceImpl times_{time_store_, billing_store_, clock_, gates_};
  billing::FakeTypesetter typesetter_;
  billing::FakeFileStore files_;
  billing::documents::PdfDocuments pdf_{typesetter_, files_};
  billing::InvoiceServiceImpl invoices_{billing_store_, pdf_, clock_, gates_};
  billing::LedgerServiceImpl ledger_{billing_store_, clock_, gates_};
  billing::terms::FakeTermsStore terms_store_;
  billing::terms::PriceTermsServiceImpl price_terms_{terms_store_, clock_, gates_};
  billing::events::FakeEventStore event_store_;
  billing::events::EventSinkServiceImpl event_sinks_{event_store_, std::nullopt, clock_, gates_};
  billing::analysis::UsageOfTwoProjects rollups_;
  billing::analysis::UsageReportServiceImpl usage_reports_{rollups_, clock_, gates_};
  billing::RecallHub recalls_;
  billing::budget::NoBudgets no_budgets_;
  billing::budget::BudgetServiceImpl budgets_{no_budgets_, clock_, gates_, recalls_};
  billing::wallet::NoWallets no_wallets_;
  billing::wallet::WalletServiceImpl wallets_{no_wallets_, clock_, gates_};
  scheduling::SchedulingOnFakes scheduling_{clock_};
  std::unique_ptr<Server> server_;
  const TempDir sockets_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::string key_name_;
  std::string asking_kid_;
  std::string operation_;
  std::string quote_;
};

TEST_F(PortalScopes, AKeyActsInItsOwnProjectWhateverTheMethod) {
  const auto standing =
      Must("allod.scheduling.v1.InstanceService.GetInstance", R"({"name":"tenants/ke/projects/p/instances/i"})");
  const std::string etag = standing.at("etag").get<std::string>();
  // `own` and `other` are the reason of the refusal to a key of p and of q; empty: answered. An answer to the key of q
  // never names p; one to the key of p names it when `names` is set.
  struct Row {
    std::string request;
    std::string own, other;
    bool names = true;
  };
  const std::string tenant = R"({"name":"tenants/ke"})";
  const std::string instance = std::string(R"({"name":")") + kInstance + R"("})";
  const std::string operation = R"({"name":")" + operation_ + R"("})";
  const std::string key = R"({"name":")" + key_name_ + R"("})";
  const std::string provider = R"({"name":"tenants/ke/identityProviders/ci"})";
  const std::string member = R"({"name":"tenants/ke/members/achieng"})";
  const std::string sink = R"({"name":"tenants/ke/eventSinks/s"})";
  const std::string rule = R"({"name":"tenants/ke/projects/p/workloadRules/deploy"})";
  const nlohmann::json update_rule{
      {"workloadRule", Must("allod.tenancy.v1.WorkloadRuleService.GetWorkloadRule", rule)}};
  const std::map<std::string, Row> rows = {
      {"TenantService.GetTenant", {tenant, "", "", false}},
      {"TenantService.ListTenants", {"{}", "", "", false}},
      {"TenantService.CreateTenant",
       {R"({"tenantId":"ke-x","tenant":{"parent":"tenants/ke","displayName":"X"}})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"TenantService.UpdateTenant", {R"({"tenant":{"name":"tenants/ke"}})", "NOT_ALLOWED", "NOT_ALLOWED"}},
      {"TenantService.SuspendTenant", {tenant, "NOT_ALLOWED", "NOT_ALLOWED"}},
      {"TenantService.ResumeTenant", {tenant, "NOT_ALLOWED", "NOT_ALLOWED"}},
      {"TenantService.DeleteTenant", {tenant, "NOT_ALLOWED", "NOT_ALLOWED"}},
      {"TenantService.UndeleteTenant", {tenant, "NOT_ALLOWED", "NOT_ALLOWED"}},
      {"ProjectService.CreateProject",
       {R"({"parent":"tenants/ke","projectId":"r","project":{"displayName":"R"}})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"ProjectService.GetProject", {R"({"name":"tenants/ke/projects/p"})", "", "NOT_FOUND"}},
      {"ProjectService.UpdateProject",
       {R"({"project":{"name":"tenants/ke/projects/p","displayName":"P"}})", "PROJECT_KEY", "NOT_FOUND"}},
      {"QuotaService.GetQuotaUse", {R"({"parent":"tenants/ke/projects/p"})", "", "NOT_FOUND", false}},
      {"ProjectService.ListProjects", {R"({"parent":"tenants/ke"})", "", ""}},
      {"ApiKeyService.CreateApiKey", {R"({"parent":"tenants/ke/projects/p"})", "", "NOT_FOUND"}},
      {"ApiKeyService.ListApiKeys", {R"({"parent":"tenants/ke/projects/p"})", "", "NOT_FOUND"}},
      {"ApiKeyService.RotateApiKey", {R"({"overlap":"3600s","name":")" + key_name_ + R"("})", "", "NOT_FOUND"}},
      {"ApiKeyService.RevokeApiKey", {key, "", "NOT_FOUND", false}},
      {"IdentityProviderService.CreateIdentityProvider", {kCreateProvider, "PROJECT_KEY", "PROJECT_KEY"}},
      {"IdentityProviderService.GetIdentityProvider", {provider, "", "", false}},
      {"IdentityProviderService.ListIdentityProviders", {R"({"parent":"tenants/ke"})", "", "", false}},
      {"IdentityProviderService.UpdateIdentityProvider",
       {R"({"identityProvider":{"name":"tenants/ke/identityProviders/ci"}})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"IdentityProviderService.DeleteIdentityProvider", {provider, "PROJECT_KEY", "PROJECT_KEY"}},
      {"WorkloadRuleService.CreateWorkloadRule", {kCreateRule, "", "NOT_FOUND"}},
      {"WorkloadRuleService.GetWorkloadRule", {rule, "", "NOT_FOUND"}},
      {"WorkloadRuleService.ListWorkloadRules", {R"({"parent":"tenants/ke/projects/p"})", "", "NOT_FOUND"}},
      {"WorkloadRuleService.UpdateWorkloadRule", {update_rule.dump(), "", "NOT_FOUND"}},
      {"WorkloadRuleService.DeleteWorkloadRule", {rule, "", "NOT_FOUND", false}},
      {"MemberService.CreateMember", {kCreateMember, "PROJECT_KEY", "PROJECT_KEY"}},
      {"MemberService.GetMember", {member, "PROJECT_KEY", "PROJECT_KEY"}},
      {"MemberService.ListMembers", {R"({"parent":"tenants/ke"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"MemberService.UpdateMember",
       {R"({"member":{"name":"tenants/ke/members/achieng"}})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"MemberService.DeleteMember", {member, "PROJECT_KEY", "PROJECT_KEY"}},
      {"RoleService.CreateRole", {kCreateRole, "PROJECT_KEY", "PROJECT_KEY"}},
      {"RoleService.GetRole", {R"({"name":"tenants/ke/roles/on-call"})", "", "", false}},
      {"RoleService.ListRoles", {R"({"parent":"tenants/ke"})", "", "", false}},
      {"RoleService.UpdateRole", {R"({"role":{"name":"tenants/ke/roles/on-call"}})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"RoleService.DeleteRole", {R"({"name":"tenants/ke/roles/on-call"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"SessionService.ListSessions", {R"({"parent":"tenants/ke"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"SessionService.EndSessions",
       {R"({"parent":"tenants/ke","person":{"identityProvider":"tenants/ke/identityProviders/ci","subject":"4711"}})",
        "PROJECT_KEY", "PROJECT_KEY"}},
      {"AuditService.ListAuditEntries", {R"({"parent":"tenants/ke"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"AuditService.EraseAuditPerson",
       {R"({"parent":"tenants/ke","member":"tenants/ke/members/achieng"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"AuditService.GetAuditHead", {R"({"parent":"tenants/ke"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"BillingAccountService.GetBillingAccount",
       {R"({"name":"tenants/ke/billingAccount"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"BillingAccountService.GetBillingProfile",
       {R"({"name":"tenants/ke/billingProfile"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"PriceTermsService.GetPriceTerms",
       {R"({"name":"tenants/ke/priceTerms/current"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"PriceTermsService.ListPriceTerms", {R"({"parent":"tenants/ke"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"InvoiceService.ListInvoices", {R"({"parent":"tenants/ke"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"InvoiceService.GetInvoiceDocument",
       {R"({"name":"tenants/ke/invoices/2026-10","format":"DOCUMENT_FORMAT_CSV"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"EventSinkService.CreateEventSink",
       {R"({"parent":"tenants/ke","eventSinkId":"s","eventSink":{"displayName":"S","url":"https://s.example/"}})",
        "PROJECT_KEY", "PROJECT_KEY"}},
      {"EventSinkService.GetEventSink", {sink, "PROJECT_KEY", "PROJECT_KEY"}},
      {"EventSinkService.ListEventSinks", {R"({"parent":"tenants/ke"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"EventSinkService.UpdateEventSink",
       {R"({"eventSink":{"name":"tenants/ke/eventSinks/s"}})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"EventSinkService.DeleteEventSink", {sink, "PROJECT_KEY", "PROJECT_KEY"}},
      {"EventSinkService.RotateEventSinkSecret", {sink, "PROJECT_KEY", "PROJECT_KEY"}},
      {"EventSinkService.TestEventSink", {sink, "PROJECT_KEY", "PROJECT_KEY"}},
      {"EventSinkService.ReplayEvents", {sink, "PROJECT_KEY", "PROJECT_KEY"}},
      {"BudgetService.CreateBudget",
       {R"({"parent":"tenants/ke","budgetId":"b","budget":{"period":"PERIOD_MONTH","amount":"1"}})", "PROJECT_KEY",
        "PROJECT_KEY"}},
      {"BudgetService.GetBudget", {R"({"name":"tenants/ke/budgets/b"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"BudgetService.ListBudgets", {R"({"parent":"tenants/ke"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"BudgetService.UpdateBudget",
       {R"({"budget":{"name":"tenants/ke/budgets/b","period":"PERIOD_MONTH","amount":"1"}})", "PROJECT_KEY",
        "PROJECT_KEY"}},
      {"BudgetService.DeleteBudget", {R"({"name":"tenants/ke/budgets/b"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"WalletService.GetWallet", {R"({"name":"tenants/ke/wallet"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"WalletService.UpdateWallet", {R"({"wallet":{"name":"tenants/ke/wallet"}})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"WalletService.ListPayments", {R"({"parent":"tenants/ke"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"WalletService.ListInvoiceBalances", {R"({"parent":"tenants/ke"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"WalletService.RedeemVoucher",
       {R"({"name":"tenants/ke/wallet","code":"ABCDE-12345-FGHJK-67890"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"LedgerService.ListLedgerAccounts", {R"({"parent":"tenants/ke"})", "PROJECT_KEY", "PROJECT_KEY"}},
      {"UsageService.ListUsageRecords", {R"({"parent":"tenants/ke"})", "", ""}},
      {"UsageReportService.QueryUsage", {R"({"parent":"tenants/ke","groupBy":["USAGE_DIMENSION_PROJECT"]})", "", ""}},
      {"ComputedUsageService.ListComputedUsage", {R"({"parent":"tenants/ke"})", "", ""}},
      {"InstanceTimeService.ListInstanceTime", {R"({"parent":"tenants/ke"})", "", ""}},
      {"InvoiceService.GetInvoice", {R"({"name":"tenants/ke/invoices/current"})", "", ""}},
      {"InstanceService.CreateInstance", {kCreateInstance, "", "NOT_FOUND"}},
      {"InstanceService.GetInstance", {instance, "", "NOT_FOUND"}},
      {"InstanceService.ListInstances", {R"({"parent":"tenants/ke/projects/-"})", "", ""}},
      {"InstanceService.GetInstanceQuotaUse", {R"({"parent":"tenants/ke/projects/p"})", "", "NOT_FOUND", false}},
      {"QuoteService.CreateQuote", {kCreateQuote, "", "NOT_FOUND"}},
      {"QuoteService.GetQuote", {R"({"name":")" + quote_ + R"("})", "", "NOT_FOUND"}},
      {"QuoteService.ListQuotes", {R"({"parent":"tenants/ke/projects/p"})", "", "NOT_FOUND"}},
      {"InstanceService.UpdateInstance",
       {R"({"instance":{"name":"tenants/ke/projects/p/instances/i","etag":")" + etag +
            R"(","spec":{"listing":"listings/l","variant":"models/m/versions/1/variants/q4_k_m",)"
            R"("region":"regions/ke-1","contextTokens":512}}})",
        "", "NOT_FOUND"}},
      {"InstanceService.DeleteInstance", {instance, "", "NOT_FOUND"}},
      {"Operations.GetOperation", {operation, "", "NOT_FOUND"}},
      {"Operations.ListOperations", {tenant, "", ""}},
      {"Operations.WaitOperation", {R"({"name":")" + operation_ + R"(","timeout":"0.01s"})", "", "NOT_FOUND"}}};

  const Caller own = Caller::Key("ke", "p", {"inference", "portal"}, {Role::ROLE_ADMIN}, asking_kid_);
  const Caller other = Caller::Key("ke", "q", {"inference", "portal"});
  const auto reason = [](const auto& answer) { return answer ? std::string() : answer.error().reason; };
  const auto transcoder = gateway::portal::Transcoder::Build(gateway::portal::PortalServices());
  ASSERT_TRUE(transcoder);
  std::set<std::string> asked;
  // Strangers first: nothing that they do may change anything.
  for (const Caller& caller : {other, own}) {
    for (const auto& route : transcoder->routes()) {
      const std::string name = route.method->service()->name() + "." + route.method->name();
      const auto row = rows.find(name);
      if (row == rows.end()) {
        EXPECT_THAT(route.path_text, Not(HasSubstr("tenant")))
            << name << ": a method about a tenant's things needs a row here";
        continue;
      }
      asked.insert(name);
      const auto answer = Ask(*route.method, row->second.request, caller);
      EXPECT_EQ(reason(answer), caller.project == "p" ? row->second.own : row->second.other)
          << name << " as " << caller.ToString() << (answer ? "" : ": " + answer.error().message);
      if (!answer) continue;
      if (caller.project == "q") {
        EXPECT_THAT(*answer, Not(HasSubstr("projects/p"))) << name;
      }
      if (caller.project == "p" && row->second.names) {
        EXPECT_THAT(*answer, HasSubstr("projects/p")) << name;
      }
    }
  }
  EXPECT_EQ(asked.size(), rows.size()) << "a row for a method that there is not";
}

TEST_F(PortalScopes, AnInvoiceForAKeyIsThatOfItsProject) {
  const auto invoice = [&](const Caller& caller) {
    return Must("allod.billing.v1.InvoiceService.GetInvoice", R"({"name":"tenants/ke/invoices/current"})", caller);
  };
  EXPECT_EQ(invoice(Caller::Key("ke", "p", {"portal"})), invoice(Caller::Operator()));
  const auto of_other = invoice(Caller::Key("ke", "q", {"portal"}));
  EXPECT_FALSE(of_other.contains("lines"));
  EXPECT_EQ(of_other.at("total").at("amount"), "0");
}

TEST_F(PortalScopes, UsageOfAnInstanceOfAnotherProjectIsNotThere) {
  const auto& method = *google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
      "allod.billing.v1.UsageService.ListUsageRecords");
  const std::string request = std::string(R"({"parent":"tenants/ke","instance":")") + kInstance + R"("})";
  EXPECT_TRUE(Ask(method, request, Caller::Key("ke", "p", {"portal"})));
  EXPECT_EQ(Ask(method, request, Caller::Key("ke", "q", {"portal"})).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace allod::portal_scopes_test
