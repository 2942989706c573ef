// `allod audit`: what was done to a tenant's things, and whether the logs that say so are whole.

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <sstream>

#include "allod/billing/v1/audit.grpc.pb.h"
#include "allod/scheduling/v1/audit.grpc.pb.h"
#include "allod/tenancy/v1/audit.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "cli/commands/audit_logs.h"
#include "cli/commands/tenant_commands.h"
#include "cli/commands/times.h"
#include "cli/net/connections.h"
#include "cli/net/pages.h"
#include "cli/terminal/confirm.h"
#include "cli/terminal/print.h"
#include "services/common/audit/convert.h"
#include "services/common/ids.h"
#include "services/common/rpc/timestamp.h"

namespace allod::cli::commands {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;
using google::protobuf::util::TimeUtil;
using terminal::Print;

constexpr std::size_t kHeadsBytesMax = 64 << 20;

struct ListOptions {
  std::string tenant;
  std::string service;
  std::string since = "24h";
  std::string action;
  int limit = 200;
};

struct VerifyOptions {
  std::string tenant;
  std::string heads;
};

struct EraseOptions {
  std::string tenant;
  std::string member;
  std::string provider;
  std::string subject;
  bool yes = false;
};

struct HeadsOptions {
  std::string tenant;
};

// How to ask one service. `filter` fills in what the list is asked for beside the page.
template <typename Service, typename ListRequest, typename HeadRequest>
AuditPeer PeerOf(const net::Services& services, const std::function<void(ListRequest&)>& filter = nullptr) {
  using Stub = typename Service::Stub;
  const std::shared_ptr<Stub> stub = net::Connect<Service>(services);
  return {net::ProcessOf(Service::service_full_name()),
          [stub, filter](const std::string& tenant, const std::string& page_token) {
            ListRequest request;
            request.set_parent(tenant);
            request.set_page_size(net::kPageSizeMax);
            request.set_page_token(page_token);
            if (filter) filter(request);
            return net::Ask(*stub, &Stub::ListAuditEntries, request);
          },
          [stub](const std::string& tenant) {
            HeadRequest request;
            request.set_parent(tenant);
            return net::Ask(*stub, &Stub::GetAuditHead, request);
          }};
}

struct Filter {
  std::optional<google::protobuf::Timestamp> start;
  std::string action_prefix;
};

template <typename Service, typename ListRequest, typename HeadRequest>
AuditPeer FilteredPeerOf(const net::Services& services, const Filter& filter) {
  return PeerOf<Service, ListRequest, HeadRequest>(services, [filter](ListRequest& request) {
    if (filter.start) *request.mutable_start_time() = *filter.start;
    request.set_action_prefix(filter.action_prefix);
  });
}

// Every service that keeps a log.
std::vector<AuditPeer> Peers(const net::Services& services, const Filter& filter = {}) {
  namespace scheduling_v1 = allod::scheduling::v1;
  namespace billing_v1 = allod::billing::v1;
  return {
      FilteredPeerOf<tenancy_v1::AuditService, tenancy_v1::ListAuditEntriesRequest, tenancy_v1::GetAuditHeadRequest>(
          services, filter),
      FilteredPeerOf<scheduling_v1::AuditService, scheduling_v1::ListAuditEntriesRequest,
                     scheduling_v1::GetAuditHeadRequest>(services, filter),
      FilteredPeerOf<billing_v1::AuditService, billing_v1::ListAuditEntriesRequest, billing_v1::GetAuditHeadRequest>(
          services, filter)};
}

std::string ActorText(const audit::v1::Actor& actor) {
  return actor.id().empty() ? actor.kind() : fmt::format("{} {}", actor.kind(), actor.id());
}

std::vector<std::string> RowOf(const MergedEntry& merged) {
  const auto& entry = merged.entry;
  const bool is_refused = entry.outcome() == audit::v1::AuditEntry::OUTCOME_REFUSED;
  return {TimeUtil::ToString(entry.time()),
          merged.service,
          std::to_string(entry.sequence()),
          ActorText(entry.actor()),
          entry.action(),
          entry.resource(),
          is_refused ? "refused: " + entry.reason() : "done",
          DetailsText(entry)};
}

Status List(const Globals& globals, const ListOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  Filter filter{.start = {}, .action_prefix = options.action};
  ALLOD_TRY(const Time since, ParseSince("--since", options.since, std::chrono::system_clock::now()));
  filter.start = ToTimestamp(since);
  ALLOD_TRY(const net::Services services, FindServices(globals));
  std::vector<AuditPeer> peers = Peers(services, filter);
  if (!options.service.empty()) {
    std::erase_if(peers, [&](const AuditPeer& peer) { return peer.service != options.service; });
  }
  std::vector<std::vector<std::string>> rows;
  std::string items;
  int taken = 0;
  bool has_more = false;
  ALLOD_CHECK_OK(MergeLogs(peers, tenant, [&](const MergedEntry& merged) {
    has_more = taken == options.limit;
    if (has_more) return false;
    ++taken;
    if (globals.json()) {
      items += fmt::format("{}{{\"service\": \"{}\", \"entry\": {}}}", items.empty() ? "" : ",\n", merged.service,
                           terminal::ToJson(merged.entry));
    } else {
      rows.push_back(RowOf(merged));
    }
    return true;
  }));
  if (taken == 0) ALLOD_CHECK_OK(CheckThereIs(services, tenant));
  if (globals.json()) {
    Print(fmt::format("{{\"items\": [{}], \"hasMore\": {}}}\n", items, has_more));
    return {};
  }
  Print(terminal::Table({"TIME", "SERVICE", "NO", "ACTOR", "ACTION", "RESOURCE", "OUTCOME", "DETAILS"}, rows));
  if (has_more) Print(fmt::format("(the first {} since then; --limit shows more)\n", taken));
  return {};
}

// Every tenant, or the one that is named.
Status ForEachTenant(const net::Services& services, const std::string& tenant,
                     const std::function<Status(const std::string&)>& visit) {
  if (!tenant.empty()) return visit(tenant);
  const auto stub = net::Connect<tenancy_v1::TenantService>(services);
  tenancy_v1::ListTenantsRequest request;
  request.set_page_size(net::kPageSizeMax);
  do {
    ALLOD_TRY(const auto page, net::Ask(*stub, &tenancy_v1::TenantService::Stub::ListTenants, request));
    for (const auto& listed : page.tenants()) ALLOD_CHECK_OK(visit(listed.name()));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return {};
}

Result<KeptHeads> ReadHeads(const std::string& path) {
  if (path.empty()) return KeptHeads{};
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in || text.str().size() > kHeadsBytesMax) {
    return InvalidArgument("INVALID_HEADS",
                           fmt::format("--heads {}: cannot be read; write it with `allod audit heads`", path));
  }
  auto heads = ParseHeads(text.str());
  if (!heads) return InvalidArgument("INVALID_HEADS", fmt::format("--heads {}: {}", path, heads.error().message));
  return heads;
}

struct Tally {
  std::int64_t logs = 0;
  std::int64_t entries = 0;
  std::int64_t broken = 0;
  std::string first;  // broken place
};

Status VerifyTenant(const std::vector<AuditPeer>& peers, const std::string& tenant, const KeptHeads& kept, bool is_json,
                    Tally& tally) {
  for (const AuditPeer& peer : peers) {
    ALLOD_TRY(const LogVerdict verdict, VerifyLog(peer, tenant, kept));
    tally.entries += verdict.entries;
    ++tally.logs;
    if (!verdict.broken) continue;
    const std::string place = fmt::format("{} in {}: {}", tenant, peer.service, verdict.broken->words);
    if (!is_json) Print(fmt::format("BROKEN {}\n", place));
    if (tally.broken++ == 0) tally.first = place;
  }
  return {};
}

Status Verify(const Globals& globals, const VerifyOptions& options) {
  ALLOD_TRY(const KeptHeads kept, ReadHeads(options.heads));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  const std::vector<AuditPeer> peers = Peers(services);
  ALLOD_TRY(const std::string only, options.tenant.empty() ? std::string() : TenantNameOf(options.tenant));
  // Tenants of which only a kept head is left are looked at too.
  std::set<std::string> unseen;
  for (const auto& [log, head] : kept) {
    if (std::ranges::find(peers, log.second, &AuditPeer::service) == peers.end()) {
      return InvalidArgument("INVALID_HEADS",
                             fmt::format("--heads {}: {} is no service with an audit log", options.heads, log.second));
    }
    if (only.empty() || only == log.first) unseen.insert(log.first);
  }
  Tally tally;
  ALLOD_CHECK_OK(ForEachTenant(services, only, [&](const std::string& tenant) {
    unseen.erase(tenant);
    return VerifyTenant(peers, tenant, kept, globals.json(), tally);
  }));
  for (const std::string& tenant : unseen) ALLOD_CHECK_OK(VerifyTenant(peers, tenant, kept, globals.json(), tally));
  // A tenant that was deleted for good has its logs still; one that never was has none.
  if (!only.empty() && tally.entries == 0 && tally.broken == 0) ALLOD_CHECK_OK(CheckThereIs(services, only));
  if (tally.broken > 0) {
    return Fail(Code::kDataLoss, "AUDIT_LOG_BROKEN",
                fmt::format("{} of {} audit logs are broken; first {}", tally.broken, tally.logs, tally.first));
  }
  if (globals.json()) {
    Print(fmt::format("{{\"entries\": {}, \"logs\": {}, \"whole\": true}}\n", tally.entries, tally.logs));
  } else {
    Print(fmt::format("{} entries in {} logs: whole{}\n", tally.entries, tally.logs,
                      kept.empty() ? "" : ", and the heads that were kept are in them"));
  }
  return {};
}

Status Heads(const Globals& globals, const HeadsOptions& options) {
  ALLOD_TRY(const net::Services services, FindServices(globals));
  const std::vector<AuditPeer> peers = Peers(services);
  ALLOD_TRY(const std::string only, options.tenant.empty() ? std::string() : TenantNameOf(options.tenant));
  return ForEachTenant(services, only, [&](const std::string& tenant) -> Status {
    bool any = false;
    for (const AuditPeer& peer : peers) {
      ALLOD_TRY(const auto message, peer.read_head(tenant));
      ALLOD_TRY(const audit::Head head, audit::FromProto(message));
      if (head.sequence > 0) Print(HeadLine(tenant, peer.service, head));
      any = any || head.sequence > 0;
    }
    return any ? Status() : CheckThereIs(services, tenant);
  });
}

Status Erase(const Globals& globals, const EraseOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  if (options.member.empty() != (!options.provider.empty() && !options.subject.empty())) {
    return InvalidArgument("INVALID_PERSON", "say either --member, or --provider and --subject of who signed in");
  }
  const auto within = [&](const char* collection, const std::string& id) {
    return id.find('/') != std::string::npos ? id : fmt::format("{}/{}/{}", tenant, collection, id);
  };
  ALLOD_TRY(const net::Services services, FindServices(globals));
  tenancy_v1::EraseAuditPersonRequest request;
  request.set_parent(tenant);
  std::string whom;
  if (options.member.empty()) {
    request.mutable_person()->set_identity_provider(within("identityProviders", options.provider));
    request.mutable_person()->set_subject(options.subject);
    whom = fmt::format("who signed in by {} as {}", request.person().identity_provider(), options.subject);
  } else {
    request.set_member(within("members", options.member));
    whom = request.member();
  }
  ALLOD_CHECK_OK(terminal::Confirm(
      fmt::format("What the audit log of {} says of {} is erased for good; the log stays whole", tenant, whom),
      options.yes));
  using Service = tenancy_v1::AuditService;
  std::int64_t erased = 0;
  bool has_more = true;
  while (has_more) {
    ALLOD_TRY(const auto done, net::Ask<Service>(services, &Service::Stub::EraseAuditPerson, request));
    erased += done.erased();
    has_more = done.has_more();
  }
  Print(globals.json() ? fmt::format("{{\"erased\": {}}}\n", erased) : fmt::format("{} values erased\n", erased));
  return {};
}

}  // namespace

void AddAudit(CLI::App& app, Globals& globals) {
  CLI::App& group = *app.add_subcommand("audit",
                                        "Show what was done to a tenant's things, and check that the logs of it "
                                        "are whole");
  group.require_subcommand(1);
  {
    const auto [command, options] =
        AddCommand<ListOptions>(group, globals, "list", "Show a tenant's audit logs, merged by time", &List);
    command->add_option("tenant", options->tenant, kTenantHelp)->required();
    command->add_option("--service", options->service, "Only the log of this service")
        ->check(CLI::IsMember({"tenancy", "scheduling", "billing"}));
    command->add_option("--since", options->since, "From when on: 90m, 24h, 7d or a time (default: 24h)");
    command->add_option("--action", options->action, "Only actions that begin so, e.g. tenancy.apiKeys.");
    command->add_option("--limit", options->limit, "How many (default: 200)")->check(CLI::Range(1, 100'000));
  }
  {
    const auto [command, options] = AddCommand<VerifyOptions>(
        group, globals, "verify", "Walk every audit log, or a tenant's; fails with the first broken place", &Verify);
    command->add_option("tenant", options->tenant, "TENANT or tenants/TENANT (default: all)");
    command->add_option("--heads", options->heads,
                        "What `allod audit heads` wrote earlier and was kept elsewhere: shows logs that were cut or "
                        "written anew since");
  }
  {
    const auto [command, options] = AddCommand<EraseOptions>(
        group, globals, "erase", "Erase what a tenant's audit log says of one person; the log stays whole", &Erase);
    command->add_option("tenant", options->tenant, kTenantHelp)->required();
    command->add_option("--member", options->member, "The member; also one that was deleted");
    command->add_option("--provider", options->provider, "Of who signed in: the identity provider");
    command->add_option("--subject", options->subject, "Of who signed in: the subject there");
    command->add_flag("--yes", options->yes, "Do not ask");
  }
  {
    const auto [command, options] = AddCommand<HeadsOptions>(
        group, globals, "heads", "Write where every audit log ends, to be kept elsewhere for `verify --heads`", &Heads);
    command->add_option("tenant", options->tenant, "TENANT or tenants/TENANT (default: all)");
  }
}

}  // namespace allod::cli::commands
