#include "services/scheduling/instance_service.h"

#include <fmt/format.h>

#include <optional>

#include "services/common/rpc/fill_page.h"
#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"
#include "services/scheduling/convert.h"
#include "services/scheduling/operation_answer.h"

namespace allod::scheduling {
namespace {

constexpr char kInstanceName[] = "tenants/*/projects/*/instances/*";

// Found by its request id, or NOT_FOUND.
bool Decided(const Result<Operation>& earlier) { return earlier || earlier.error().code != Code::kNotFound; }

// What the earlier request with this id is answered with.
Result<google::longrunning::Operation> AnswerAgain(const Result<Operation>& earlier, Store& store) {
  if (!earlier) return std::unexpected(earlier.error());
  return AnswerFor(*earlier, store);
}

}  // namespace

Status InstanceServiceImpl::JudgeQuotas(const std::string& name, const Accepted& wanted, const Revision* standing) {
  ALLOD_TRY(const TenantId tenant, TenantId::FromName(name));
  ALLOD_TRY(const QuotaScopes others, store_.ReadUse(tenant, ProjectNameOf(name), name));
  return CheckQuotas(name, wanted.quotas, others, standing, wanted.revision);
}

v1::Instance InstanceServiceImpl::Describe(const Instance& instance) const {
  v1::Instance out = ToProto(instance);
  figures_.AddTo(*out.mutable_status());
  return out;
}

Result<google::longrunning::Operation> InstanceServiceImpl::Mutate(const grpc::ServerContext& context, const Call& call,
                                                                   const std::function<Result<Operation>()>& write) {
  ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
  Operation operation;
  // The answer is read in turn as well.
  ALLOD_TRY(auto answer, InTurn(gates_.writes, call, [&]() -> Result<google::longrunning::Operation> {
              ALLOD_TRY(operation, write());
              return AnswerFor(operation, store_);
            }));
  // An operation that is done was made long ago: nothing was changed, and its instance may be gone since.
  if (operation.done) return answer;
  changed_(operation.tenant, operation.instance_name);
  (void)routes_.Await(operation, AcknowledgementWait(context));
  return answer;
}

Result<google::longrunning::Operation> InstanceServiceImpl::Judge(
    const Call& call, const std::function<Result<google::longrunning::Operation>()>& preview) {
  ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
  return InTurn(gates_.writes, call, preview);
}

Result<Operation> InstanceServiceImpl::Write(const std::string& project, const InstanceSpec& spec,
                                             NewInstance& instance, const RequestId& request_id) {
  const auto earlier = store_.FindRequest(instance.tenant, ProjectIdOf(instance.name), request_id);
  if (Decided(earlier)) return earlier;
  // What stands already was accepted once and is not judged again.
  const auto standing = store_.GetInstance(instance.tenant, instance.name);
  if (standing && SameContent(spec, standing->current())) {
    instance.revision = standing->current();
    instance.only_if_standing = true;
  } else {
    ALLOD_TRY(Accepted accepted, acceptor_.Accept(project, spec, nullptr));
    instance.revision = std::move(accepted.revision);
    instance.quotas = accepted.quotas;
  }
  return store_.CreateInstance(instance, request_id);
}

google::longrunning::Operation InstanceServiceImpl::Previewed(const Instance& instance) const {
  google::longrunning::Operation operation;
  operation.set_name(
      OperationName({.tenant = instance.tenant, .id = Uuid::V7(clock_.Now()), .instance_name = instance.name}));
  operation.set_done(true);
  operation.mutable_response()->PackFrom(Describe(instance));
  return operation;
}

Result<google::longrunning::Operation> InstanceServiceImpl::Preview(const std::string& project,
                                                                    const InstanceSpec& spec, const NewInstance& wanted,
                                                                    const RequestId& request_id) {
  const auto earlier = store_.FindRequest(wanted.tenant, ProjectIdOf(wanted.name), request_id);
  if (Decided(earlier)) return AnswerAgain(earlier, store_);
  const auto standing = store_.GetInstance(wanted.tenant, wanted.name);
  if (!standing && standing.error().code != Code::kNotFound) return std::unexpected(standing.error());
  if (standing) {
    const bool is_same = SameContent(spec, standing->current());
    if (!is_same) ALLOD_CHECK_OK(acceptor_.Accept(project, spec, &standing->current()));
    if (standing->deleting) return std::unexpected(InstanceDeleting(wanted.name));
    if (!is_same) return std::unexpected(InstanceExists(wanted.name));
    return Previewed(*standing);
  }
  Instance instance;
  instance.tenant = wanted.tenant;
  instance.id = wanted.id;
  instance.name = wanted.name;
  instance.generation = 1;
  instance.create_time = clock_.Now();
  ALLOD_TRY(const Accepted accepted, acceptor_.Accept(project, spec, nullptr));
  ALLOD_CHECK_OK(JudgeQuotas(wanted.name, accepted, nullptr));
  instance.revisions[1] = accepted.revision;
  return Previewed(instance);
}

Result<google::longrunning::Operation> InstanceServiceImpl::Create(const grpc::ServerContext& context, const Call& call,
                                                                   const v1::CreateInstanceRequest& request) {
  ALLOD_CHECK_OK(MatchName("parent", request.parent(), "tenants/*/projects/*"));
  ALLOD_CHECK_OK(CheckId("instance_id", request.instance_id()));
  ALLOD_TRY(const InstanceSpec spec, SpecFrom(request.instance().spec()));
  ALLOD_CHECK_OK(CheckSpec(spec));
  ALLOD_TRY(const RequestId request_id, ReadRequestId(request));
  NewInstance instance;
  ALLOD_TRY(instance.tenant, TenantId::FromName(request.parent()));
  instance.tenant_name = TenantOf(request.parent());
  instance.name = fmt::format("{}/instances/{}", request.parent(), request.instance_id());
  instance.id = Uuid::V7(clock_.Now());
  instance.operation = Uuid::V7(clock_.Now());
  if (request.validate_only()) {
    return Judge(call, [&] { return Preview(request.parent(), spec, instance, request_id); });
  }
  return Mutate(context, call, [&] { return Write(request.parent(), spec, instance, request_id); });
}

Result<google::longrunning::Operation> InstanceServiceImpl::Preview(const TenantId& tenant,
                                                                    const v1::UpdateInstanceRequest& request,
                                                                    const InstanceSpec& spec,
                                                                    const RequestId& request_id) {
  const auto earlier = store_.FindRequest(tenant, ProjectIdOf(request.instance().name()), request_id);
  if (Decided(earlier)) return AnswerAgain(earlier, store_);
  ALLOD_TRY(Instance instance, store_.GetInstance(tenant, request.instance().name()));
  ALLOD_CHECK_OK(CheckEtag(instance, request.instance().etag()));
  if (!SameContent(spec, instance.current())) {
    ALLOD_TRY(const Accepted accepted, acceptor_.Accept(ProjectNameOf(instance.name), spec, &instance.current()));
    ALLOD_CHECK_OK(JudgeQuotas(instance.name, accepted, &instance.current()));
    instance.revisions[instance.generation] = accepted.revision;
  }
  if (instance.deleting) return std::unexpected(InstanceDeleting(instance.name));
  return Previewed(instance);
}

Result<Operation> InstanceServiceImpl::Write(const InstanceSpec& spec, InstanceChange& change,
                                             const RequestId& request_id) {
  const auto earlier = store_.FindRequest(change.tenant, ProjectIdOf(change.name), request_id);
  if (Decided(earlier)) return earlier;
  ALLOD_TRY(const Instance standing, store_.GetInstance(change.tenant, change.name));
  ALLOD_CHECK_OK(CheckEtag(standing, change.etag));
  if (SameContent(spec, standing.current())) {
    change.revision = standing.current();
  } else {
    ALLOD_TRY(Accepted accepted, acceptor_.Accept(ProjectNameOf(change.name), spec, &standing.current()));
    change.revision = std::move(accepted.revision);
    change.quotas = accepted.quotas;
  }
  return store_.UpdateInstance(change, request_id);
}

Result<google::longrunning::Operation> InstanceServiceImpl::Update(const grpc::ServerContext& context, const Call& call,
                                                                   const v1::UpdateInstanceRequest& request) {
  InstanceChange change;
  change.name = request.instance().name();
  ALLOD_CHECK_OK(MatchName("instance.name", change.name, kInstanceName));
  ALLOD_TRY(const InstanceSpec spec, SpecFrom(request.instance().spec()));
  ALLOD_CHECK_OK(CheckSpec(spec));
  ALLOD_TRY(const RequestId request_id, ReadRequestId(request));
  ALLOD_TRY(change.tenant, TenantId::FromName(change.name));
  if (request.validate_only()) {
    return Judge(call, [&] { return Preview(change.tenant, request, spec, request_id); });
  }
  change.etag = request.instance().etag();
  change.operation = Uuid::V7(clock_.Now());
  return Mutate(context, call, [&] { return Write(spec, change, request_id); });
}

grpc::Status InstanceServiceImpl::CreateInstance(grpc::ServerContext* context, const v1::CreateInstanceRequest* request,
                                                 google::longrunning::Operation* response) {
  return Handle(context, request, response, [&](const Call& call) { return Create(*context, call, *request); });
}

grpc::Status InstanceServiceImpl::GetInstance(grpc::ServerContext* context, const v1::GetInstanceRequest* request,
                                              v1::Instance* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Instance> {
    ALLOD_CHECK_OK(MatchName("name", request->name(), kInstanceName));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Instance instance, store_.GetInstance(tenant, request->name()));
    return Describe(instance);
  });
}

grpc::Status InstanceServiceImpl::ListInstances(grpc::ServerContext* context, const v1::ListInstancesRequest* request,
                                                v1::ListInstancesResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListInstancesResponse> {
    const std::string& parent = request->parent();
    const std::string owner = TenantOf(parent);
    const bool all = !owner.empty() && parent == owner + "/projects/-";
    if (!all) ALLOD_CHECK_OK(MatchName("parent", parent, "tenants/*/projects/*"));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(parent));
    const Caller& caller = call.principal;
    // A token is of the list that its key was shown.
    ALLOD_TRY(const PageRequest page, ParsePage(fmt::format("instances of {} {}", parent, caller.project),
                                                request->page_size(), request->page_token()));
    const std::string visible = caller.in_project() ? "/projects/" + caller.project + "/instances/" : "/projects/";
    const std::string prefix = all ? owner + visible : parent + "/instances/";
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto rows, store_.ListInstances(tenant, prefix, page));
    v1::ListInstancesResponse out;
    const auto describe = [&](const Instance& instance) {
      return IsWhole(instance) ? std::optional(Describe(instance)) : std::nullopt;
    };
    ALLOD_TRY(const std::string next,
              FillPage(
                  call, page, rows, describe, [](const Instance& i) { return i.name; }, *out.mutable_instances()));
    out.set_next_page_token(next);
    return out;
  });
}

grpc::Status InstanceServiceImpl::UpdateInstance(grpc::ServerContext* context, const v1::UpdateInstanceRequest* request,
                                                 google::longrunning::Operation* response) {
  return Handle(context, request, response, [&](const Call& call) { return Update(*context, call, *request); });
}

grpc::Status InstanceServiceImpl::GetInstanceQuotaUse(grpc::ServerContext* context,
                                                      const v1::GetInstanceQuotaUseRequest* request,
                                                      v1::GetInstanceQuotaUseResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::GetInstanceQuotaUseResponse> {
    const std::string& parent = request->parent();
    const bool of_tenant = parent == TenantOf(parent);
    ALLOD_CHECK_OK(MatchName("parent", parent, of_tenant ? "tenants/*" : "tenants/*/projects/*"));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(parent));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const QuotaScopes limits, peers_.AskQuotas(parent));
    ALLOD_TRY(const QuotaScopes used, store_.ReadUse(tenant, of_tenant ? "" : parent, ""));
    return UseToProto(limits, used, !of_tenant);
  });
}

grpc::Status InstanceServiceImpl::DeleteInstance(grpc::ServerContext* context, const v1::DeleteInstanceRequest* request,
                                                 google::longrunning::Operation* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<google::longrunning::Operation> {
    ALLOD_CHECK_OK(MatchName("name", request->name(), kInstanceName));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->name()));
    return Mutate(*context, call,
                  [&] { return store_.DeleteInstance(tenant, request->name(), Uuid::V7(clock_.Now()), request_id); });
  });
}

}  // namespace allod::scheduling
