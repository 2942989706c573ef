#include "services/billing/lease_service.h"

#include "services/billing/convert_lease.h"
#include "services/common/call_scope.h"
#include "services/common/fault_point.h"
#include "services/common/rpc/server.h"
#include "services/common/set_aside.h"

namespace allod::billing {
namespace {

// How soon a cancelled stream is noticed.
constexpr std::chrono::milliseconds kLookForCancelEvery{100};
constexpr int kLeasesPerPage = 500;

// Tenant after tenant; one whose leases cannot be ended holds up no other, and fails the whole in the end. It is safe
// to do it again.
Result<int> EndBesides(Store& store, const EndEarlierCommand& command, const Call& call) {
  int ended = 0;
  Status failed;
  std::optional<LeaseKey> after;
  while (true) {
    ALLOD_TRY(const std::vector<LeaseKey> page,
              store.LeasesBesides(command.gateway, command.current, after, kLeasesPerPage));
    for (auto begin = page.begin(); begin != page.end();) {
      ALLOD_CHECK_OK(CheckAwaited(call));
      std::vector<Uuid> leases;
      const TenantId tenant = begin->tenant;
      for (; begin != page.end() && begin->tenant == tenant; ++begin) leases.push_back(begin->lease);
      const Result<int> of_tenant = store.EndLeases(tenant, leases);
      ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kEndLeasesCommitted));
      if (of_tenant) {
        ended += *of_tenant;
      } else if (ConcernsEverybody(of_tenant.error())) {
        return std::unexpected(of_tenant.error());
      } else {
        failed = std::unexpected(of_tenant.error());
      }
    }
    if (page.size() < static_cast<std::size_t>(kLeasesPerPage)) break;
    after = page.back();
  }
  if (!failed) return std::unexpected(failed.error());
  return ended;
}

}  // namespace

grpc::Status LeaseServiceImpl::AdjustLease(grpc::ServerContext* context, const v1::AdjustLeaseRequest* request,
                                           v1::AdjustLeaseResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::AdjustLeaseResponse> {
    ALLOD_TRY(const AdjustLeaseCommand command, FromProto(*request));
    ALLOD_CHECK_OK(CheckClock(command, clock_.Now()));
    ALLOD_TRY(const CallGate::Pass pass, gates_.money.Enter(request->tenant()));
    ALLOD_CHECK_OK(CheckAwaited(call));  // it may have waited until nobody waits for it any more
    ALLOD_TRY(const LeaseAdjustment adjustment, store_.AdjustLease(command));
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kAdjustCommitted));
    if (!adjustment.recalls.empty()) ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kRecallMarked));
    recalls_.Tell(request->tenant(), adjustment.recalls, std::chrono::steady_clock::now());
    if (!adjustment.refused) return ToProto(*adjustment.lease);
    return std::unexpected(*adjustment.refused);
  });
}

grpc::Status LeaseServiceImpl::EndEarlierLeases(grpc::ServerContext* context,
                                                const v1::EndEarlierLeasesRequest* request,
                                                v1::EndEarlierLeasesResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::EndEarlierLeasesResponse> {
    ALLOD_TRY(const EndEarlierCommand command, FromProto(*request));
    ALLOD_TRY(const CallGate::Pass pass, gates_.money.Enter(request->gateway_id()));
    ALLOD_TRY(const int ended, EndBesides(store_, command, call));
    v1::EndEarlierLeasesResponse out;
    out.set_ended_count(ended);
    return out;
  });
}

grpc::Status LeaseServiceImpl::WatchRecalls(grpc::ServerContext* context, const v1::WatchRecallsRequest* request,
                                            grpc::ServerWriter<v1::WatchRecallsResponse>* writer) {
  return HandleStream(context, request, [&](const Call&) -> Status {
    ALLOD_TRY(const Uuid gateway, Uuid::Parse(request->gateway_id()));
    ALLOD_TRY(RecallHub::Place place, recalls_.Join(gateway));
    // From here on nothing is missed; what was changed before may have been.
    v1::WatchRecallsResponse begun;
    begun.set_budgets_changed(true);
    if (!writer->Write(begun)) return {};
    while (!context->IsCancelled()) {
      if (stopping_) return Fail(Code::kUnavailable, "STOPPING", "the service stops: reconnect");
      for (const RecallHub::Recall& recall : place.Next(kLookForCancelEvery)) {
        v1::WatchRecallsResponse message;
        message.set_tenant(recall.tenant_name);
        if (recall.lease.is_nil()) {
          message.set_budgets_changed(true);
        } else {
          message.set_lease_id(recall.lease.ToString());
          if (!recall.budget.is_nil()) message.set_budget_uid(recall.budget.ToString());
        }
        if (!writer->Write(message)) return {};
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kRecallTold));
      }
    }
    return {};
  });
}

grpc::Status LeaseServiceImpl::SettleBatch(grpc::ServerContext* context, const v1::SettleBatchRequest* request,
                                           v1::SettleBatchResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::SettleBatchResponse> {
    ALLOD_TRY(const SettleBatchParts parts, FromProto(*request));
    ALLOD_TRY(const CallGate::Pass pass, gates_.money.Enter(request->tenant()));
    // Begun, it is carried out also when the gateway does not wait any more: it would only ask again.
    const CallScope to_its_end(Deadline::None(), call.trace);
    ALLOD_TRY(const auto results, store_.SettleBatch(parts.command, clock_.Now()));
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kBatchCommitted));
    return ToProto(parts, results);
  });
}

}  // namespace allod::billing
