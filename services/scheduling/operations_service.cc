#include "services/scheduling/operations_service.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <optional>

#include "allod/scheduling/v1/instance.grpc.pb.h"
#include "services/common/rpc/fill_page.h"
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

// The operation as it stands, as it is answered with; to a key of another project than its instance's it does not
// exist.
Result<google::longrunning::Operation> Read(const Call& call, const OperationKey& key, Store& store, CallGates& gates) {
  ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates.reads, call));
  ALLOD_TRY(const Operation operation, store.GetOperation(key.tenant, key.id));
  if (!MaySee(call.principal, operation.instance_name)) return NoSuchResource();
  return AnswerFor(operation, store);
}

}  // namespace

grpc::Status OperationsServiceImpl::GetOperation(grpc::ServerContext* context, const GetOperationRequest* request,
                                                 google::longrunning::Operation* response) {
  return HandleOperation<v1::InstanceService>(context, request, response,
                                              [&](const Call& call) -> Result<google::longrunning::Operation> {
                                                ALLOD_TRY(const OperationKey key, ParseName(request->name()));
                                                return Read(call, key, store_, gates_);
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
        ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
        ALLOD_TRY(auto listed, store_.ListOperations(tenant, project, page));
        std::erase_if(listed.instances, [](const auto& entry) { return !IsWhole(entry.second); });
        const auto answer = [&](const Operation& operation) {
          const auto instance = listed.instances.find(operation.instance);
          return std::optional(AnswerFor(operation, instance == listed.instances.end() ? nullptr : &instance->second));
        };
        ListOperationsResponse out;
        ALLOD_TRY(const std::string next,
                  FillPage(
                      call, page, listed.operations, answer, [](const Operation& o) { return o.id.ToString(); },
                      *out.mutable_operations()));
        out.set_next_page_token(next);
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
  google::longrunning::Operation operation;
  ALLOD_CHECK_OK(LongPoll(context, progress_, options, [&]() -> Result<bool> {
    ALLOD_TRY(operation, Read(call, key, store_, gates_));
    return operation.done();
  }));
  return operation;
}

grpc::Status OperationsServiceImpl::WaitOperation(grpc::ServerContext* context, const WaitOperationRequest* request,
                                                  google::longrunning::Operation* response) {
  return HandleOperation<v1::InstanceService>(context, request, response,
                                              [&](const Call& call) -> Result<google::longrunning::Operation> {
                                                WaitOperationRequest bounded = *request;
                                                const Result<CallGate::Pass> place = TakePlace(gates_.waits, call);
                                                if (!place) bounded.mutable_timeout()->Clear();
                                                return Wait(*context, call, bounded);
                                              });
}

}  // namespace allod::scheduling
