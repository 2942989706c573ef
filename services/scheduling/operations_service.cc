#include "services/scheduling/operations_service.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include "allod/scheduling/v1/instance.grpc.pb.h"
#include "services/common/rpc/long_poll.h"
#include "services/common/rpc/server.h"
#include "services/scheduling/operation_answer.h"

namespace allod::scheduling {
namespace {

using google::longrunning::GetOperationRequest;
using google::longrunning::ListOperationsRequest;
using google::longrunning::ListOperationsResponse;
using google::longrunning::WaitOperationRequest;
using std::chrono::milliseconds;

struct OperationKey {
  TenantId tenant;
  Uuid id;
};

Result<OperationKey> ParseName(const std::string& name) {
  ALLOD_TRY(const auto parts, MatchName("name", name, "tenants/*/operations/*"));
  OperationKey key;
  ALLOD_TRY(key.tenant, TenantId::FromName(name));
  ALLOD_TRY(key.id, Uuid::Parse(parts[1]));
  return key;
}

// The operation as it stands; to a key of another project than its instance's it does not exist.
Result<Operation> Read(const Caller& caller, const OperationKey& key, Store& store, CallGates& gates) {
  ALLOD_TRY(const CallGate::Pass pass, gates.reads.Enter(caller));
  ALLOD_TRY(Operation operation, store.GetOperation(key.tenant, key.id));
  if (!MaySee(caller, operation.instance_name)) return NoSuchResource();
  return operation;
}

}  // namespace

grpc::Status OperationsServiceImpl::GetOperation(grpc::ServerContext* context, const GetOperationRequest* request,
                                                 google::longrunning::Operation* response) {
  return HandleOperation<v1::InstanceService>(
      context, request, response, [&](const Call& call) -> Result<google::longrunning::Operation> {
        ALLOD_TRY(const OperationKey key, ParseName(request->name()));
        ALLOD_TRY(const Operation operation, Read(call.principal, key, store_, gates_));
        return AnswerFor(operation, store_);
      });
}

grpc::Status OperationsServiceImpl::ListOperations(grpc::ServerContext* context, const ListOperationsRequest* request,
                                                   ListOperationsResponse* response) {
  return HandleOperation<v1::InstanceService>(
      context, request, response, [&](const Call& call) -> Result<ListOperationsResponse> {
        ALLOD_CHECK_OK(MatchName("name", request->name(), "tenants/*"));
        if (!request->filter().empty()) {
          return InvalidArgument("FILTER_NOT_SUPPORTED", "filter: leave it empty; operations are not filtered");
        }
        ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->name()));
        const std::string& project = call.principal.project;  // a key sees those of its own
        ALLOD_TRY(const PageRequest page, ParsePage(fmt::format("operations of {} {}", request->name(), project),
                                                    request->page_size(), request->page_token()));
        if (!page.after.empty()) ALLOD_CHECK_OK(Uuid::Parse(page.after));
        ALLOD_TRY(const CallGate::Pass pass, gates_.reads.Enter(call.principal));
        ALLOD_TRY(auto rows, store_.ListOperations(tenant, project, page));
        const auto listed =
            MakePage(page, std::move(rows), [](const Operation& operation) { return operation.id.ToString(); });
        ListOperationsResponse out;
        for (const Operation& operation : listed.items) {
          ALLOD_TRY(*out.add_operations(), AnswerFor(operation, store_));
        }
        out.set_next_page_token(listed.next_page_token);
        return out;
      });
}

Result<google::longrunning::Operation> OperationsServiceImpl::Wait(const grpc::ServerContext& context, const Call& call,
                                                                   const WaitOperationRequest& request) {
  ALLOD_TRY(const OperationKey key, ParseName(request.name()));
  LongPollOptions options;
  if (request.has_timeout()) {
    options.wait = milliseconds(google::protobuf::util::TimeUtil::DurationToMilliseconds(request.timeout()));
  }
  Operation operation;
  ALLOD_CHECK_OK(LongPoll(context, progress_, options, [&]() -> Result<bool> {
    ALLOD_TRY(operation, Read(call.principal, key, store_, gates_));
    return operation.done;
  }));
  return AnswerFor(operation, store_);
}

grpc::Status OperationsServiceImpl::WaitOperation(grpc::ServerContext* context, const WaitOperationRequest* request,
                                                  google::longrunning::Operation* response) {
  return HandleOperation<v1::InstanceService>(context, request, response,
                                              [&](const Call& call) -> Result<google::longrunning::Operation> {
                                                WaitOperationRequest bounded = *request;
                                                const Result<CallGate::Pass> place = gates_.waits.Enter(call.principal);
                                                if (!place) bounded.mutable_timeout()->Clear();
                                                return Wait(*context, call, bounded);
                                              });
}

}  // namespace allod::scheduling
