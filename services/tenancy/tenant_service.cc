#include "services/tenancy/tenant_service.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/convert.h"
#include "services/tenancy/home.h"
#include "services/tenancy/limits_version.h"
#include "services/tenancy/tenant_tree.h"

namespace allod::tenancy {
namespace {

constexpr int kTenantsPerMessage = 500;

// How long a watcher whose client has gone may hold its thread.
constexpr std::chrono::milliseconds kLookEvery{100};

// Of whose tenants a caller sees a list: of all; a person with a role at a tenant, or it as a whole, of it and those
// below; a key, and who acts at one project only, of its own.
enum class Seen { kAll, kWithin, kOwn };
Seen SeenBy(const Caller& caller) {
  if (caller.kind != Caller::Kind::kTenant) return Seen::kAll;
  return caller.in_project() ? Seen::kOwn : Seen::kWithin;
}

Setter SetterOf(const Call& call) {
  return call.principal.kind == Caller::Kind::kTenant ? Setter::kFromAbove : Setter::kOperator;
}

// A tenant's callers have request ids of their own, beside operators' and other tenants': nobody learns which ids
// others used, nor takes them from them.
template <typename Request>
Result<RequestId> RequestIdOf(const Call& call, const Request& request) {
  ALLOD_TRY(RequestId out, ReadRequestId(request));
  const Caller& caller = call.principal;
  if (out.given() && caller.kind == Caller::Kind::kTenant) {
    out.id = Uuid::FromName(fmt::format("tenants/{}/requests/{}", caller.own_tenant(), out.id.ToString()));
  }
  return out;
}

}  // namespace

Result<std::optional<Tenant>> TenantServiceImpl::ParentOf(const Tenant& tenant) {
  if (tenant.parent.empty()) return std::nullopt;
  ALLOD_TRY(Tenant parent, store_.GetTenant(tenant.parent));
  return std::optional(std::move(parent));
}

Status TenantServiceImpl::CheckIdOfItsOwn(const Tenant& wanted) {
  if (!wanted.parent.empty()) return {};
  const auto standing = store_.GetTenant(wanted.id);
  if (standing || standing.error().code != Code::kNotFound) return {};
  for (std::size_t dash = wanted.id.find('-'); dash != std::string::npos; dash = wanted.id.find('-', dash + 1)) {
    const auto other = store_.GetTenant(wanted.id.substr(0, dash));
    if (!other && other.error().code == Code::kNotFound) continue;
    if (!other) return std::unexpected(other.error());
    if (other->state != TenantState::kDeleted) return std::unexpected(IdOfAnothers(wanted.id, other->id));
  }
  return {};
}

Status TenantServiceImpl::JudgeBelow(const Tenant& wanted, const Tenant* before, const std::optional<Tenant>& parent) {
  if (!parent) return {};
  ALLOD_TRY(const QuotaState use, store_.ReadQuotas(parent->id, "", clock_.Now()));
  return CheckWithinParent(wanted, before, *parent, {use.projects, use.keys_in_tenant});
}

Result<Tenant> TenantServiceImpl::Judge(const Tenant& wanted) {
  const auto standing = store_.GetTenant(wanted.id);
  if (standing && IsPurged(standing->state)) return std::unexpected(TenantIdUsed(wanted.id));
  if (standing && !SameContent(*standing, wanted)) return std::unexpected(TakenByOtherContent(wanted.name()));
  if (standing || standing.error().code != Code::kNotFound) return standing;
  ALLOD_TRY(const auto parent, ParentOf(wanted));
  if (!parent) return wanted;
  ALLOD_TRY(Tenant placed, PlacedBelow(wanted, *parent));
  ALLOD_TRY(const std::vector<int> there_are, store_.CountBelow(parent->id));
  ALLOD_CHECK_OK(CheckRoomBelow(*parent, there_are));
  ALLOD_CHECK_OK(JudgeBelow(placed, nullptr, parent));
  return placed;
}

Result<Tenant> TenantServiceImpl::JudgeUpdate(const Tenant& wanted, const std::string& etag, Setter by) {
  ALLOD_TRY(const Tenant standing, store_.GetTenant(wanted.id));
  ALLOD_TRY(Tenant changed, Changed(standing, wanted, etag));
  if (SameContent(changed, standing)) return standing;
  ALLOD_TRY(const auto parent, ParentOf(standing));
  ALLOD_CHECK_OK(JudgeBelow(changed, &standing, parent));
  ALLOD_TRY(const auto children, store_.ChildrenOf(wanted.id));
  ALLOD_CHECK_OK(CheckHolds(changed, children));
  if (parent) {
    ALLOD_TRY(const QuotaState use, store_.ReadQuotas(wanted.id, "", clock_.Now()));
    ALLOD_CHECK_OK(CheckGivenBack(changed, standing, *parent, {use.projects, use.keys_in_tenant}, by));
  }
  return changed;
}

grpc::Status TenantServiceImpl::CreateTenant(grpc::ServerContext* context, const v1::CreateTenantRequest* request,
                                             v1::Tenant* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Tenant> {
    ALLOD_TRY(const Tenant tenant, TenantFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const RequestId request_id, RequestIdOf(call, *request));
    ALLOD_CHECK_OK(CheckHome(tenant, home_));
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_CHECK_OK(CheckIdOfItsOwn(tenant));
      ALLOD_TRY(const Tenant judged, Judge(tenant));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_CHECK_OK(CheckIdOfItsOwn(tenant));
    ALLOD_TRY(const Tenant created,
              InTurn(gates_.writes, call, [&] { return store_.CreateTenant(tenant, request_id); }));
    const SteadyTime until = AwaitUntil(*context);
    feed_.Notify();
    if (!created.parent.empty()) AwaitLimits(until, created);
    AwaitInForce(until, created.version);
    return ToProto(created);
  });
}

void TenantServiceImpl::AwaitLimits(SteadyTime until, const Tenant& tenant) {
  const std::int64_t limits = VersionToAwait(store_, tenant.id);
  if (limits > 0) await_credentials_({tenant, limits, 0}, until);
}

void TenantServiceImpl::AwaitInForce(SteadyTime until, std::int64_t version) {
  using std::chrono::milliseconds, std::chrono::steady_clock;
  feed_.Notify();
  watchers_.Await(version, std::max(milliseconds(0), std::chrono::floor<milliseconds>(until - steady_clock::now())));
}

grpc::Status TenantServiceImpl::UpdateTenant(grpc::ServerContext* context, const v1::UpdateTenantRequest* request,
                                             v1::Tenant* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Tenant> {
    ALLOD_TRY(const Tenant wanted, TenantFromRequest(*request));
    ALLOD_TRY(const RequestId request_id, RequestIdOf(call, *request));
    ALLOD_CHECK_OK(CheckHome(wanted, home_));
    const std::string& etag = request->tenant().etag();
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(const Tenant judged, JudgeUpdate(wanted, etag, SetterOf(call)));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const Tenant updated, InTurn(gates_.writes, call, [&] {
                return store_.UpdateTenant(wanted, etag, request_id, SetterOf(call));
              }));
    const SteadyTime until = AwaitUntil(*context);
    feed_.Notify();
    AwaitLimits(until, updated);
    AwaitInForce(until, updated.version);
    return ToProto(updated);
  });
}

Result<v1::Tenant> TenantServiceImpl::SetState(const grpc::ServerContext& context, const Call& call,
                                               const std::string& name, TenantState state, const std::string& reason,
                                               const RequestId& request_id) {
  ALLOD_TRY(const std::string id, TenantIdOf("name", name));
  ALLOD_CHECK_OK(CheckSuspendReason(reason));
  return ChangeState(context, call,
                     [&] { return store_.SetTenantState(id, state, reason, request_id, SetterOf(call)); });
}

Result<v1::Tenant> TenantServiceImpl::ChangeState(const grpc::ServerContext& context, const Call& call,
                                                  const std::function<Result<TenantStateChange>()>& change) {
  ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
  ALLOD_TRY(const TenantStateChange changed, InTurn(gates_.writes, call, change));
  // All are told at the same time, and waited for once.
  const SteadyTime until = AwaitUntil(context);
  feed_.Notify();
  await_credentials_(changed, until);
  AwaitInForce(until, std::max(changed.tenants_version, changed.tenant.version));
  return ToProto(changed.tenant);
}

grpc::Status TenantServiceImpl::SuspendTenant(grpc::ServerContext* context, const v1::SuspendTenantRequest* request,
                                              v1::Tenant* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Tenant> {
    ALLOD_TRY(const RequestId request_id, RequestIdOf(call, *request));
    return SetState(*context, call, request->name(), TenantState::kSuspended, request->reason(), request_id);
  });
}

grpc::Status TenantServiceImpl::ResumeTenant(grpc::ServerContext* context, const v1::ResumeTenantRequest* request,
                                             v1::Tenant* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Tenant> {
    ALLOD_TRY(const RequestId request_id, RequestIdOf(call, *request));
    return SetState(*context, call, request->name(), TenantState::kActive, "", request_id);
  });
}

grpc::Status TenantServiceImpl::DeleteTenant(grpc::ServerContext* context, const v1::DeleteTenantRequest* request,
                                             v1::Tenant* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Tenant> {
    ALLOD_TRY(const std::string id, TenantIdOf("name", request->name()));
    ALLOD_TRY(const RequestId request_id, RequestIdOf(call, *request));
    ALLOD_CHECK_OK(CheckSuspendReason(request->reason()));
    std::optional<std::chrono::seconds> wanted;
    if (request->has_grace()) wanted = std::chrono::seconds(request->grace().seconds());
    ALLOD_TRY(const std::chrono::seconds grace, GraceOf(wanted, grace_min_));
    const TenantDeletionRequest deletion{request->etag(), request->reason(), grace, FloorToMicros(clock_.Now()),
                                         SetterOf(call)};
    return ChangeState(*context, call, [&] { return store_.DeleteTenant(id, deletion, request_id); });
  });
}

grpc::Status TenantServiceImpl::UndeleteTenant(grpc::ServerContext* context, const v1::UndeleteTenantRequest* request,
                                               v1::Tenant* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Tenant> {
    ALLOD_TRY(const std::string id, TenantIdOf("name", request->name()));
    ALLOD_TRY(const RequestId request_id, RequestIdOf(call, *request));
    return ChangeState(*context, call,
                       [&] { return store_.UndeleteTenant(id, clock_.Now(), request_id, SetterOf(call)); });
  });
}

grpc::Status TenantServiceImpl::GetTenant(grpc::ServerContext* context, const v1::GetTenantRequest* request,
                                          v1::Tenant* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Tenant> {
    ALLOD_TRY(const std::string id, TenantIdOf("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Tenant tenant, store_.GetTenant(id));
    return ToProto(tenant);
  });
}

grpc::Status TenantServiceImpl::ListTenants(grpc::ServerContext* context, const v1::ListTenantsRequest* request,
                                            v1::ListTenantsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListTenantsResponse> {
    ALLOD_TRY(const PageRequest page, ParsePage("tenants", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    v1::ListTenantsResponse out;
    const Seen seen = SeenBy(call.principal);
    if (seen == Seen::kOwn) {
      ALLOD_TRY(const Tenant own, store_.GetTenant(call.principal.id));
      if (own.id > page.after) *out.add_tenants() = ToProto(own);
      return out;
    }
    ALLOD_TRY(const auto tenants,
              store_.ListTenants(page, seen == Seen::kAll ? std::nullopt : std::optional(call.principal.id)));
    for (const Tenant& tenant : tenants.items) *out.add_tenants() = ToProto(tenant);
    out.set_next_page_token(tenants.next_page_token);
    return out;
  });
}

grpc::Status TenantServiceImpl::WatchTenants(grpc::ServerContext* context, const v1::WatchTenantsRequest* request,
                                             grpc::ServerWriter<v1::WatchTenantsResponse>* writer) {
  return HandleStream(context, request, [&](const Call&) -> Status {
    ALLOD_TRY(Watchers::Place place, watchers_.Join(request->watcher_id()));
    return Watch(*context, std::move(place), *writer);
  });
}

Status TenantServiceImpl::Watch(grpc::ServerContext& context, Watchers::Place place,
                                grpc::ServerWriter<v1::WatchTenantsResponse>& writer) {
  std::optional<std::int64_t> version;
  while (!context.IsCancelled()) {
    const TenantFeed::Batch batch = feed_.Next(version, kLookEvery);
    if (batch.stopped) return Fail(Code::kUnavailable, "SHUTTING_DOWN", "the service is stopping; connect again");
    if (!batch.news) continue;
    version = batch.version;
    v1::WatchTenantsResponse message;
    for (const auto& tenant : batch.tenants) {
      *message.add_tenants() = ToProto(*tenant);
      if (message.tenants_size() < kTenantsPerMessage) continue;
      if (!writer.Write(message)) return {};
      message.Clear();
    }
    // Every batch ends in a message that says so, also an empty one.
    message.set_synced(true);
    message.set_version(batch.version);
    place.Sending(batch.version);
    if (!writer.Write(message)) return {};
  }
  return {};
}

grpc::Status TenantServiceImpl::AcknowledgeTenants(grpc::ServerContext* context,
                                                   const v1::AcknowledgeTenantsRequest* request,
                                                   v1::AcknowledgeTenantsResponse* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::AcknowledgeTenantsResponse> {
    ALLOD_CHECK_OK(watchers_.Acknowledge(request->watcher_id(), request->version()));
    return v1::AcknowledgeTenantsResponse();
  });
}

}  // namespace allod::tenancy
