#include "services/billing/computed_usage_service.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "services/billing/audit.h"
#include "services/billing/convert_computed.h"
#include "services/billing/refusals.h"
#include "services/common/call_scope.h"
#include "services/common/catching.h"
#include "services/common/rpc/server.h"
#include "services/common/set_aside.h"

namespace allod::billing {
namespace {

void Refuse(v1::RecordComputedUsageResponse& out, std::string event_id, std::string reason, std::string message) {
  auto& refusal = *out.add_refusals();
  refusal.set_event_id(std::move(event_id));
  refusal.set_reason(std::move(reason));
  refusal.set_message(std::move(message));
}

void AddRecorded(TenantId tenant, const std::vector<ComputedUsage>& events, const RecordedEvents& done,
                 v1::RecordComputedUsageResponse& out) {
  out.set_recorded_count(out.recorded_count() + done.recorded);
  if (!done.known_tenant) {
    for (const ComputedUsage& event : events) {
      const Error error = NoBillingAccount().error();
      Refuse(out, event.event_id, error.reason, fmt::format("tenant_uid: {}: {}", tenant.ToString(), error.message));
    }
  }
  for (const std::string& id : done.reused) {
    Refuse(out, id, "EVENT_ID_REUSED", "event_id: was recorded earlier with other content, which stands");
  }
}

}  // namespace

Result<v1::RecordComputedUsageResponse> ComputedUsageServiceImpl::Record(
    const Call& call, const v1::RecordComputedUsageRequest& request) {
  // Also when the node does not wait any more: what is recorded is not sent again.
  const CallScope to_its_end(Deadline::None(), call.trace);
  if (request.events_size() < 1 || static_cast<std::size_t>(request.events_size()) > kComputedBatchMax) {
    return InvalidArgument("BATCH_TOO_LARGE",
                           fmt::format("events: {} of them; give 1 to {}", request.events_size(), kComputedBatchMax));
  }
  v1::RecordComputedUsageResponse out;
  std::map<TenantId, std::vector<ComputedUsage>> by_tenant;
  for (int i = 0; i < request.events_size(); ++i) {
    auto event = FromProto(request.events(i), "nodes/" + call.principal.id);
    if (event) {
      by_tenant[event->tenant].push_back(*std::move(event));
    } else {
      const std::string& id = request.events(i).event_id();
      Refuse(out, IsEventId(id) ? id : fmt::format("#{}", i), "INVALID_EVENT", event.error().message);
    }
  }
  for (const auto& [tenant, events] : by_tenant) {
    const Status recorded = Catching("record a tenant's computed usage", [&]() -> Status {
      ALLOD_TRY(const RecordedEvents done, store_.RecordComputedUsage(tenant, events));
      AddRecorded(tenant, events, done, out);
      return {};
    });
    if (recorded) continue;
    if (ConcernsEverybody(recorded.error())) return std::unexpected(recorded.error());
    // The others' events are recorded all the same, and the node tells these again later.
    Log(LogLevel::kError, "a tenant's computed usage cannot be recorded",
        {{"tenant", tenant.ToString()}, {"reason", recorded.error().reason}, {"message", recorded.error().message}});
    for (const ComputedUsage& event : events) out.add_postponed_event_ids(event.event_id);
  }
  return out;
}

grpc::Status ComputedUsageServiceImpl::RecordComputedUsage(grpc::ServerContext* context,
                                                           const v1::RecordComputedUsageRequest* request,
                                                           v1::RecordComputedUsageResponse* response) {
  return Handle(context, request, response, [&](const Call& call) { return Record(call, *request); });
}

grpc::Status ComputedUsageServiceImpl::ListComputedUsage(grpc::ServerContext* context,
                                                         const v1::ListComputedUsageRequest* request,
                                                         v1::ListComputedUsageResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListComputedUsageResponse> {
    ALLOD_TRY(const ComputedPage page, FromProto(*request, call.principal.project));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(auto events, store_.ListComputedUsage(page.query));
    const auto listed = MakePage(page.page, std::move(events), PageKeyOf);
    v1::ListComputedUsageResponse out;
    for (const ComputedUsage& event : listed.items) *out.add_computed_usage() = ToProto(event);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

Result<v1::CheckUsageResponse> ComputedUsageServiceImpl::Check(const Call& call, const v1::CheckUsageRequest& request) {
  ALLOD_TRY(const TimeRange range, FromProto(request));
  v1::CheckUsageResponse out;
  UsageCheck sum;
  std::vector<std::string> unread;
  std::optional<TenantId> after;
  while (true) {
    ALLOD_TRY(const std::vector<KnownTenant> tenants, store_.ListKnownTenants(after, kTenantsPerPage));
    for (const KnownTenant& tenant : tenants) {
      ALLOD_CHECK_OK(CheckAwaited(call));
      const std::size_t room = kUsageFindingsMax - static_cast<std::size_t>(out.findings_size());
      const Status checked = Catching("check a tenant's usage", [&]() -> Status {
        ALLOD_TRY(const UsageCheck check, store_.CheckUsage(tenant.id, {range.start, range.end, room}, clock_.Now()));
        AddCounts(sum, check);
        for (const UsageFinding& finding : check.findings) *out.add_findings() = ToProto(finding, tenant.name);
        return {};
      });
      if (checked) continue;
      if (ConcernsEverybody(checked.error())) return std::unexpected(checked.error());
      AddUnread(unread, tenant.name, checked.error());
    }
    if (tenants.size() < kTenantsPerPage) break;
    after = tenants.back().id;
  }
  FillCounts(sum, out);
  for (const std::string& name : unread) out.add_unchecked_tenants(name);
  return out;
}

grpc::Status ComputedUsageServiceImpl::CheckUsage(grpc::ServerContext* context, const v1::CheckUsageRequest* request,
                                                  v1::CheckUsageResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::CheckUsageResponse> {
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    return Check(call, *request);
  });
}

}  // namespace allod::billing
