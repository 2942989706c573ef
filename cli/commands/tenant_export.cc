// `allod tenants export`: all that the services hold of a tenant, as JSON Lines, through their own lists.

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <functional>
#include <utility>

#include "allod/billing/v1/audit.grpc.pb.h"
#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "allod/billing/v1/instance_time.grpc.pb.h"
#include "allod/billing/v1/invoice.grpc.pb.h"
#include "allod/billing/v1/ledger.grpc.pb.h"
#include "allod/billing/v1/price_terms.grpc.pb.h"
#include "allod/billing/v1/usage.grpc.pb.h"
#include "allod/scheduling/v1/audit.grpc.pb.h"
#include "allod/scheduling/v1/instance.grpc.pb.h"
#include "allod/scheduling/v1/quote.grpc.pb.h"
#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "allod/tenancy/v1/audit.grpc.pb.h"
#include "allod/tenancy/v1/identity_provider.grpc.pb.h"
#include "allod/tenancy/v1/member.grpc.pb.h"
#include "allod/tenancy/v1/project.grpc.pb.h"
#include "allod/tenancy/v1/role.grpc.pb.h"
#include "allod/tenancy/v1/session.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "allod/tenancy/v1/workload_rule.grpc.pb.h"
#include "cli/commands/export_files.h"
#include "cli/commands/tenant_commands.h"
#include "cli/net/pages.h"
#include "cli/terminal/progress.h"
#include "google/longrunning/operations.grpc.pb.h"

namespace allod::cli::commands {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;
namespace scheduling_v1 = allod::scheduling::v1;
namespace billing_v1 = allod::billing::v1;
using google::longrunning::Operations;
using Tenants = allod::tenancy::v1::TenantService;
using google::protobuf::Message;

struct ExportOptions {
  std::string name;
  std::string target;
};

// Every item of a list, page by page.
template <typename Stub, typename Req, typename Resp>
Status Each(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Req&, Resp*), Req request,
            const std::function<Status(const Message&)>& take) {
  request.set_page_size(net::kPageSizeMax);
  do {
    ALLOD_TRY(const Resp page, net::Ask(stub, method, request));
    std::vector<terminal::MessagePtr> items;
    net::AppendItems(page, items);
    for (const auto& item : items) ALLOD_CHECK_OK(take(*item));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return {};
}

// One thing, which may not be there.
template <typename T>
Status One(const Result<T>& got, const ExportFiles::Write& write) {
  if (got) return write(*got);
  if (got.error().code == Code::kNotFound) return {};
  return std::unexpected(got.error());
}

class Exporter {
 public:
  Exporter(const net::Services& services, std::string tenant, ExportFiles& files)
      : services_(services), tenant_(std::move(tenant)), files_(files), progress_("export " + tenant_) {}

  Status Run() {
    ALLOD_CHECK_OK(Tenancy());
    ALLOD_CHECK_OK(Scheduling());
    ALLOD_CHECK_OK(Billing());
    ALLOD_CHECK_OK(Audit<tenancy_v1::AuditService>("tenancy"));
    ALLOD_CHECK_OK(Audit<scheduling_v1::AuditService>("scheduling"));
    ALLOD_CHECK_OK(Audit<billing_v1::AuditService>("billing"));
    progress_.Finish(fmt::format("{} lines", lines_));
    return {};
  }

 private:
  Status Kind(const std::string& kind, const std::function<Status(const ExportFiles::Write&)>& fill) {
    std::int64_t count = 0;
    progress_.Show(kind, -1);
    return files_.AddKind(kind, [&](const ExportFiles::Write& write) {
      return fill([&](const Message& message) -> Status {
        ++lines_;
        if (++count % net::kPageSizeMax == 0) progress_.Show(fmt::format("{}: {}", kind, count), -1);
        return write(message);
      });
    });
  }

  // What a list has below the tenant, or below `parent`.
  template <typename Service, typename Req, typename Resp>
  Status List(const std::string& kind, grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Req&, Resp*),
              const std::string& below = "") {
    return Kind(kind, [&](const ExportFiles::Write& write) {
      Req request;
      request.set_parent(tenant_ + below);
      return Each(*net::Connect<Service>(services_), method, request, write);
    });
  }
  // What a list has below each project.
  template <typename Service, typename Req, typename Resp>
  Status ListOfProjects(const std::string& kind,
                        grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Req&, Resp*)) {
    return Kind(kind, [&](const ExportFiles::Write& write) -> Status {
      const auto stub = net::Connect<Service>(services_);
      for (const std::string& project : projects_) {
        Req request;
        request.set_parent(project);
        const Status listed = Each(*stub, method, request, write);
        // Removed since: the tenant is being purged.
        if (!listed && listed.error().code != Code::kNotFound) return listed;
      }
      return {};
    });
  }

  Status Tenancy() {
    ALLOD_CHECK_OK(Kind("tenant", [&](const ExportFiles::Write& write) -> Status {
      tenancy_v1::GetTenantRequest request;
      request.set_name(tenant_);
      ALLOD_TRY(const auto tenant, net::Ask<Tenants>(services_, &Tenants::Stub::GetTenant, request));
      return write(tenant);
    }));
    ALLOD_CHECK_OK(Kind("projects", [&](const ExportFiles::Write& write) -> Status {
      using Service = tenancy_v1::ProjectService;
      tenancy_v1::ListProjectsRequest request;
      request.set_parent(tenant_);
      return Each(*net::Connect<Service>(services_), &Service::Stub::ListProjects, request,
                  [&](const Message& project) -> Status {
                    projects_.push_back(dynamic_cast<const tenancy_v1::Project&>(project).name());
                    return write(project);
                  });
    }));
    using Keys = tenancy_v1::ApiKeyService;
    using Providers = tenancy_v1::IdentityProviderService;
    using Rules = tenancy_v1::WorkloadRuleService;
    using Roles = tenancy_v1::RoleService;
    using Members = tenancy_v1::MemberService;
    using Sessions = tenancy_v1::SessionService;
    ALLOD_CHECK_OK(ListOfProjects<Keys>("api_keys", &Keys::Stub::ListApiKeys));
    ALLOD_CHECK_OK(List<Providers>("identity_providers", &Providers::Stub::ListIdentityProviders));
    ALLOD_CHECK_OK(ListOfProjects<Rules>("workload_rules", &Rules::Stub::ListWorkloadRules));
    ALLOD_CHECK_OK(List<Roles>("roles", &Roles::Stub::ListRoles));
    ALLOD_CHECK_OK(List<Members>("members", &Members::Stub::ListMembers));
    return List<Sessions>("sessions", &Sessions::Stub::ListSessions);
  }

  Status Scheduling() {
    using Instances = scheduling_v1::InstanceService;
    ALLOD_CHECK_OK(List<Instances>("instances", &Instances::Stub::ListInstances, "/projects/-"));
    using Quotes = scheduling_v1::QuoteService;
    ALLOD_CHECK_OK(ListOfProjects<Quotes>("quotes", &Quotes::Stub::ListQuotes));
    return Kind("operations", [&](const ExportFiles::Write& write) {
      google::longrunning::ListOperationsRequest request;
      request.set_name(tenant_);
      return Each(*net::Connect<Operations>(services_, "scheduling"), &Operations::Stub::ListOperations, request,
                  write);
    });
  }

  Status Billing() {
    using Accounts = billing_v1::BillingAccountService;
    using Usage = billing_v1::UsageService;
    using Computed = billing_v1::ComputedUsageService;
    using Invoices = billing_v1::InvoiceService;
    using Ledger = billing_v1::LedgerService;
    ALLOD_CHECK_OK(Kind("billing_account", [&](const ExportFiles::Write& write) {
      billing_v1::GetBillingAccountRequest request;
      request.set_name(tenant_ + "/billingAccount");
      return One(net::Ask<Accounts>(services_, &Accounts::Stub::GetBillingAccount, request), write);
    }));
    ALLOD_CHECK_OK(Kind("billing_profile", [&](const ExportFiles::Write& write) {
      billing_v1::GetBillingProfileRequest request;
      request.set_name(tenant_ + "/billingProfile");
      return One(net::Ask<Accounts>(services_, &Accounts::Stub::GetBillingProfile, request), write);
    }));
    using Terms = billing_v1::PriceTermsService;
    ALLOD_CHECK_OK(List<Terms>("price_terms", &Terms::Stub::ListPriceTerms));
    ALLOD_CHECK_OK(List<Ledger>("ledger_accounts", &Ledger::Stub::ListLedgerAccounts));
    ALLOD_CHECK_OK(List<Usage>("usage_records", &Usage::Stub::ListUsageRecords));
    ALLOD_CHECK_OK(List<Computed>("computed_usage", &Computed::Stub::ListComputedUsage));
    using Times = billing_v1::InstanceTimeService;
    ALLOD_CHECK_OK(List<Times>("instance_time", &Times::Stub::ListInstanceTime));
    // What was issued, each with its lines, then the draft.
    return Kind("invoices", [&](const ExportFiles::Write& write) -> Status {
      const auto stub = net::Connect<Invoices>(services_);
      const auto add = [&](const std::string& name) {
        billing_v1::GetInvoiceRequest request;
        request.set_name(name);
        return One(net::Ask(*stub, &Invoices::Stub::GetInvoice, request), write);
      };
      billing_v1::ListInvoicesRequest request;
      request.set_parent(tenant_);
      ALLOD_CHECK_OK(Each(*stub, &Invoices::Stub::ListInvoices, request, [&](const Message& invoice) {
        return add(dynamic_cast<const billing_v1::Invoice&>(invoice).name());
      }));
      return add(tenant_ + "/invoices/current");
    });
  }

  // A log as `allod audit verify` reads it.
  template <typename Service>
  Status Audit(const std::string& service) {
    return List<Service>("audit_" + service, &Service::Stub::ListAuditEntries);
  }

  const net::Services& services_;
  const std::string tenant_;
  ExportFiles& files_;
  terminal::Progress progress_;
  std::int64_t lines_ = 0;
  std::vector<std::string> projects_;
};

Status Export(const Globals& globals, const ExportOptions& options) {
  ALLOD_TRY(const std::string name, TenantNameOf(options.name));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(ExportFiles files, ExportFiles::Begin(options.target));
  const auto begun = google::protobuf::util::TimeUtil::GetCurrentTime();
  ALLOD_CHECK_OK(Exporter(services, name, files).Run());
  nlohmann::json about;
  about["tenant"] = name;
  about["beginTime"] = google::protobuf::util::TimeUtil::ToString(begun);
  about["endTime"] = google::protobuf::util::TimeUtil::ToString(google::protobuf::util::TimeUtil::GetCurrentTime());
  ALLOD_CHECK_OK(files.Commit(about));
  std::vector<std::vector<std::string>> rows;
  nlohmann::json items = nlohmann::json::array();
  for (const ExportFiles::File& file : files.files()) {
    rows.push_back({file.name, std::to_string(file.lines), std::to_string(file.bytes)});
    items.push_back({{"name", file.name}, {"lines", file.lines}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  terminal::Print(globals.json() ? nlohmann::json{{"items", items}}.dump(2) + "\n"
                                 : terminal::Table({"FILE", "LINES", "BYTES"}, rows));
  return {};
}

}  // namespace

void AddTenantExport(CLI::App& tenants, Globals& globals) {
  const auto [command, options] = AddCommand<ExportOptions>(
      tenants, globals, "export",
      "Write all that the platform holds of a tenant as JSON Lines, with an index; while it is being deleted too",
      &Export);
  command->add_option("name", options->name, kTenantHelp)->required();
  command
      ->add_option("--to", options->target,
                   "DIR or FILE.tar; an earlier export there is replaced when this one is complete")
      ->required();
}

}  // namespace allod::cli::commands
